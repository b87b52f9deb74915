// What a caller may be allowed to do; every guarded route names one (contract §2).
export const keyScopes = [
  'connect:write',
  'accounts:read',
  'accounts:write',
  'tokens:read',
  'quota:write',
  'owners:write',
  'events:read',
  'ops:read',
] as const
export type KeyScope = (typeof keyScopes)[number]
