// Account type and age, as the person states them: no TikTok endpoint open to this app tells either (docs/tiktok.md §6).
// Stored with time and wording version, and shown as self-attested.
import { type AccountType, accountTypes } from '../db/codes.ts'
import { ServiceError } from '../errors.ts'

/** Names the wording that people agreed to. A changed sentence on the page needs a new version. */
export const attestationVersion = '2026-11'

/**
 * @throws ServiceError account_type_not_supported: personal accounts and anything else
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
      'Only Creator and Business accounts can be connected; the person can switch the type in TikTok and come back.',
    )
  }
  if (given.ageConfirmed === false) {
    throw new ServiceError('age_not_confirmed', 'The person has to confirm being 18 or older before an account can be connected.')
  }
  return { accountType, ageConfirmed: given.ageConfirmed === true }
}
