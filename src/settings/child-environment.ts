// What a process that we start gets of our environment: an allow-list. Whoever may read a child's environment must not find our keys there (S79).

/** Where programs are, where they may write, and what they need to run at all on each system. */
const needed =
  /^(PATH|HOME|USER|LOGNAME|SHELL|TMPDIR|TEMP|TMP|TZ|LANG|LD_LIBRARY_PATH|SYSTEMROOT|SYSTEMDRIVE|WINDIR|COMSPEC|PATHEXT|USERPROFILE|APPDATA|LOCALAPPDATA)$/i
/** Ours begin like other programs' in places, and are not theirs to see. */
const ours = /^VAULT_KEYS/

/** @param more names that this child needs besides */
export function childEnvironment(more?: RegExp): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => needed.test(name) || (more?.test(name) === true && !ours.test(name))),
  )
}
