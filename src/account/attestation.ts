// Account type and age, as the person states them: no TikTok endpoint open to this app tells either (docs/tiktok.md §6).
// Stored with time and wording version, and shown as the person's own statement.
import { type AccountType, accountTypes } from '../db/codes.ts'
import { ServiceError } from '../errors.ts'

/** Names the wording that people agreed to. A changed sentence on the page needs a new version. */
export const attestationVersion = '2026-11-27'

/**
 * @throws ServiceError account_type_not_supported: anything but these two. TikTok has no Creator type any more: it is a personal account
 *   whose owner says that they post with it
 * @throws ServiceError age_not_confirmed: said no, which differs from not having been asked yet
 */
export function checkAttestation(given: { accountType?: string | undefined; ageConfirmed?: boolean | undefined }): {
  accountType: AccountType | null
  ageConfirmed: boolean
} {
  const accountType = given.accountType === undefined ? null : accountTypes.find((type) => type === given.accountType)
  if (accountType === undefined) {
    throw new ServiceError(
      'account_type_not_supported',
      'Ask the person what they use the account for: creator, whoever posts as themselves, or business, whoever posts for others.',
    )
  }
  if (given.ageConfirmed === false) {
    throw new ServiceError('age_not_confirmed', 'The person has to confirm being 18 or older before an account can be connected.')
  }
  return { accountType, ageConfirmed: given.ageConfirmed === true }
}
