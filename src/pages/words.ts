// What people read on the pages, in English; failures have their words in failures.ts. A translation is another object of this
// shape: sentences are complete, and numbers, times and lists follow `lang` (formats.ts).
import type { AccountType } from '../db/codes.ts'
import { failures, pageWordsOf, type Words } from '../failures.ts'

export const texts = {
  lang: 'en',
  dir: 'ltr' as 'ltr' | 'rtl',

  frame: {
    skip: 'Skip to the content',
    back: (host: string) => `Back to ${host}`,
    again: 'Open the page again',
    reference: (code: string, requestId: string) => `If you ask for help, mention ${code} and ${requestId}.`,
    independent: 'This page is not part of TikTok.',
    privacy: 'Privacy',
    terms: 'Terms',
    support: 'Help',
  },

  page: {
    title: 'TikTok accounts',
    heading: 'Your TikTok accounts',
    headingFirst: 'Connect a TikTok account',
    forWhom: (host: string, ownerId: string) => `For ${host}, where you are known as ${ownerId}.`,
    access: (host: string, ownerId: string) =>
      `If you go on, ${host} gets access to your TikTok account, for ${ownerId}. If that is not you, close this page.`,
    timeLeft: (time: string) => `This page stays open for ${time}.`,
    places: (used: string, limit: string) => `${used} of ${limit} places used`,
    placesOfPlan: (used: string, limit: string, tier: string) => `${used} of ${limit} places used (plan: ${tier})`,
    connectAnother: 'Connect another account',
    accounts: 'Connected accounts',
    more: (shown: string, host: string) => `Only ${shown} of your accounts are shown here. Look for the others at ${host}.`,
    ended: {
      heading: 'No longer connected',
      hint: 'Ended in the last 30 days, and not by you on this page. Names and pictures are erased.',
      connected: (day: string) => `It had been connected since ${day}.`,
    },
  },

  connect: {
    heading: 'Connect an account',
    headingAnother: 'Connect another account',
    label: (label: string) => `The new account will be called “${label}”.`,
    type: 'What do you use this TikTok account for?',
    types: {
      creator: { name: 'Creator', hint: 'You post as yourself. To TikTok it is a personal account.' },
      business: { name: 'Business', hint: 'You post for a company, a shop, a brand or an organization.' },
      other: { name: 'Neither, or not sure', hint: 'Choose this to see what you can do.' },
    },
    typeWrong: 'Choose Creator or Business to go on.',
    age: 'Your age',
    ageWrong: 'Confirm your age to go on.',
    ageStatement: 'I am 18 or older.',
    whyAsked: 'TikTok tells us neither and we cannot check it: both answers are kept as your own statement.',
    scopes: 'What TikTok will ask you to allow',
    scopesHint: 'You decide at TikTok. Without what is marked as needed, nothing can be connected.',
    scopesFewer: 'TikTok did not allow more last time, so only what is needed is asked for now.',
    needed: 'needed',
    optional: 'optional',
    button: 'Connect TikTok',
    next: (tiktok: string) =>
      `You go on to ${tiktok}, log in there and decide. We never see your password, and you can disconnect at any time.`,
    full: {
      heading: 'All places are used',
      text: (limit: string, one: boolean, host: string) =>
        `Your plan has ${limit} ${one ? 'place' : 'places'}. To connect another account, disconnect one first, or change your plan at ${host}.`,
      none: (host: string) => `Your plan has no room for TikTok accounts. You can change it at ${host}.`,
    },
    unknown: {
      heading: 'Connecting is not possible right now',
      text: 'We cannot look up how many accounts your plan has room for. Your connected accounts are not affected. Please try again in a few minutes.',
    },
    reconnectOnly: {
      heading: 'Reconnect this account',
      text: (name: string) => `This link is for ${name} only. At TikTok, log in with exactly this account.`,
      gone: 'The account this link was made for is not connected any more. Go back and start again.',
    },
  },

  /** By TikTok's scope: what it allows, and why we ask for it. */
  scopes: {
    'user.info.basic': { what: 'See your display name and picture', why: 'So that you recognise the account here.' },
    'user.info.profile': {
      what: 'See your @username and your verified badge',
      why: 'So that accounts with similar names are not mixed up.',
    },
    'user.info.stats': {
      what: 'See how many followers you have',
      why: 'It is shown beside the account, here and in the app you came from.',
    },
    'video.list': { what: 'See your public videos', why: 'So that the app you came from can show what was posted.' },
    'video.upload': { what: 'Send videos to your TikTok inbox', why: 'As drafts: you finish and post them yourself, in TikTok.' },
    'video.publish': { what: 'Post videos to your profile', why: 'So that the app you came from can post when you tell it to.' },
  } as Record<string, { what: string; why: string }>,
  unknownScope: (scope: string) => ({ what: `Use ${scope}`, why: 'TikTok explains this permission when it asks you.' }),

  account: {
    nameless: 'TikTok account',
    picture: (name: string) => `Picture of ${name}`,
    badge: 'Verified badge',
    followers: (count: string, one: boolean) => `${count} ${one ? 'follower' : 'followers'}`,
    followersUnknown: 'Followers unknown: the permission was not given',
    seen: (ago: string) => `seen ${ago}`,
    types: {
      creator: 'Creator',
      business: 'Business',
    } satisfies Record<AccountType, string>,
    selfAttested: 'your own statement',
    verdicts: {
      healthy: 'Working',
      expiring: 'Ends soon',
      degraded: 'Having trouble',
      reauthorization_required: 'Needs you',
      disconnected: 'Disconnected',
    },
    left: (remaining: string, limit: string) => `${remaining} of ${limit} uploads left`,
    nextSlot: (when: string) => `next slot ${when}`,
    closed: 'TikTok takes no more uploads of this account for now',
    rolling: 'in any 24 hours',
    rename: 'Rename',
    renameWhich: (name: string) => `Rename ${name}`,
    labelField: 'Name for this account',
    labelHint: 'Only you and the app see it. Empty: the name at TikTok is shown.',
    save: 'Save',
    reconnect: 'Reconnect',
    reconnectWhich: (name: string) => `Reconnect ${name}`,
    allowMore: 'Ask TikTok again',
    allowMoreWhich: (name: string) => `Ask TikTok again for ${name}`,
    disconnect: 'Disconnect',
    disconnectWhich: (name: string) => `Disconnect ${name}`,
  },

  /** Why an account is not working, and what to do, by status_reason and health code. */
  health: {
    reauthorization_required: 'TikTok no longer lets us in. Reconnect the account to go on.',
    refresh_token_rejected: 'TikTok no longer lets us in, perhaps after a changed password. Reconnect the account to go on.',
    refresh_outcome_unknown:
      'The connection to TikTok broke at a bad moment and could not be mended. Reconnect the account to go on.',
    refresh_token_expired: 'The permission you gave has run out. Reconnect the account to go on.',
    removed_by_user: 'The permission was taken back at TikTok. Connect the account again if that was not intended.',
    tiktok_account_deleted: 'TikTok says that this account was deleted.',
    age_changed: 'TikTok ended the connection because of the age given at TikTok.',
    tiktok_account_banned: 'TikTok says that this account was banned. Only TikTok can help with that.',
    required_scope_removed: 'A permission that is needed was taken back. Reconnect the account and leave it ticked.',
    disconnected_by_owner: 'You disconnected this account.',
    disconnected_by_operator: 'The makers of the app disconnected this account.',
    refresh_token_expires: 'The permission you gave runs out soon. Reconnect the account before, and nothing is interrupted.',
    tiktok_unavailable: 'TikTok does not answer properly at the moment. We keep trying; there is nothing for you to do.',
    client_refused:
      'TikTok does not let the app in at the moment. Its makers have to sort that out; there is nothing for you to do.',
    credential_unreadable:
      'We cannot open the stored permission at the moment. We have to mend that; there is nothing for you to do.',
    foreign_open_id:
      'TikTok gave us an answer about another account, which we did not use. We have to look into it; there is nothing for you to do.',
    being_checked: 'TikTok just refused us once. We are checking; there is nothing for you to do yet.',
  } as Record<string, string>,

  /** Permissions that are missing: declined, or not asked for when the account was connected. */
  notGranted: {
    some: (permissions: string) => `Not allowed at TikTok so far: ${permissions}. To change it, ask TikTok again.`,
    uploads: (permissions: string) =>
      `Not allowed at TikTok so far: ${permissions}. Nothing can be uploaded like this. To change it, ask TikTok again.`,
    one: (what: string) => `“${what}”`,
  },

  disconnect: {
    title: (name: string) => `Disconnect ${name}`,
    heading: (name: string) => `Disconnect ${name}?`,
    lead: 'This happens at once:',
    points: (host: string) => [
      `${host} can no longer upload to this account. Uploads that are waiting will fail.`,
      'We hand the permission back to TikTok.',
      'We erase its name, picture and figures.',
    ],
    after: 'Videos that are at TikTok already stay there. You can connect the account again later.',
    yes: 'Disconnect',
    no: 'Keep it connected',
  },

  /** Shown at the top after something was done. */
  done: {
    label_saved: 'The name was saved.',
    label_removed: 'The name was removed. The name at TikTok is shown again.',
    disconnected: 'The account was disconnected, and TikTok has confirmed it.',
    disconnected_pending:
      'The account was disconnected. TikTok does not answer at the moment; we will tell it as soon as it does.',
  },

  /** Shown at the top after something could not be done. */
  notDone: {
    account_type_missing: 'Please say what you use the account for.',
    account_type_not_supported:
      'Only accounts that you post with can be connected. If you post as yourself, choose Creator: a personal account at TikTok is right for it. If you post for others, choose Business; the TikTok app lets you switch to a business account under “Settings and privacy”, “Account”.',
    age_not_confirmed: 'You have to be 18 or older to connect an account, and to say so.',
    label_invalid: 'This name cannot be used. It has to fit on one line of at most 100 characters.',
    account_not_found: 'This account is not here. It may have been disconnected meanwhile.',
    account_disconnected: 'This account was disconnected already.',
    reconnect_other: 'This link is for another account. Go back to the app you came from to reconnect this one.',
  },
  notDoneLead: 'That did not work.',
  toQuestion: 'Go to the question',

  /** A session that has moved on, so that there is nothing left to do here. */
  over: {
    awaiting_completion: {
      title: 'TikTok has answered',
      text: (host: string) => `The last step happens at ${host}. Go back there to see whether it worked.`,
    },
    completed: {
      title: 'Your account is connected',
      text: (host: string) => `Everything else happens at ${host}.`,
    },
    expired: {
      title: 'This page has closed',
      text: (host: string) =>
        `For your safety it stays open for a limited time only. Nothing was lost: go back to ${host} and open it again.`,
    },
  },

  /** A failure that only programs should meet. Those that people meet have their words in failures.ts. */
  failed: { title: 'That did not work', text: 'Go back to the app you came from and try again.' } satisfies Words,

  /** Errors that TikTok names at the callback (RFC 6749 §4.1.2.1), and two that we detect there. */
  authorization: {
    access_denied: {
      title: 'You did not allow it at TikTok',
      text: 'Nothing was connected. If you change your mind, start again and choose to allow it. If TikTok did not let you choose, this account may not be used with other apps.',
    },
    invalid_request: { title: 'TikTok did not understand us', text: 'It is not your fault. Please try again later.' },
    unauthorized_client: {
      title: 'TikTok does not let this app in',
      text: 'It is not your fault. The makers of the app have to sort it out with TikTok.',
    },
    unsupported_response_type: { title: 'TikTok did not understand us', text: 'It is not your fault. Please try again later.' },
    invalid_scope: {
      title: 'TikTok does not know what we asked for',
      text: 'It is not your fault. The makers of the app have to sort it out with TikTok.',
    },
    server_error: { title: 'Something broke at TikTok', text: 'Nothing was connected. Please try again in a few minutes.' },
    temporarily_unavailable: { title: 'TikTok is busy', text: 'Nothing was connected. Please try again in a few minutes.' },
    authorization_failed: {
      title: 'TikTok did not connect the account',
      text: 'It gave no reason we know. Start again; if it happens once more, try later.',
    },
    issuer_mismatch: {
      title: 'That answer did not come from TikTok',
      text: 'For your safety nothing was connected. Go back to the app you came from and start again.',
    },
    code_missing: {
      title: 'TikTok’s answer was incomplete',
      text: 'Nothing was connected. Go back to the app you came from and start again.',
    },
  } as Record<string, Words>,
}

export type DoneCode = keyof typeof texts.done
export type NotDoneCode = keyof typeof texts.notDone

/** The words for a failure code, whether it is ours or TikTok's. */
export function failureInWords(code: string): Words {
  return pageWordsOf(code) ?? texts.authorization[code] ?? (code in failures ? texts.failed : failures.tiktok_rejected.page)
}
