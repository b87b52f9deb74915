// What a caller may be allowed to do. Every route that is not public names one of these.
export const keyScopes = [
  'connect:write',
  'accounts:read',
  'accounts:write',
  'tokens:read',
  'quota:write',
  'owners:write',
  'events:read',
  'ops:read',
  'audit:read',
] as const
export type KeyScope = (typeof keyScopes)[number]
