// Who can log in. A real app has a database and passwords; what matters here is only that the app, and nobody else, knows who is
// logged in, and that an owner_id is its own name for that person.

export interface User {
  id: string
  name: string
  /** the plan decides how many accounts they may connect; the service is told with every connect session */
  tier: 'free' | 'business'
  plan: string
}

export const users: readonly User[] = [
  { id: 'user_ada', name: 'Ada', tier: 'business', plan: 'Business plan: ten TikTok accounts' },
  { id: 'user_ben', name: 'Ben', tier: 'free', plan: 'Free plan: one TikTok account' },
]

export function findUser(id: string | undefined): User | undefined {
  return users.find((user) => user.id === id)
}
