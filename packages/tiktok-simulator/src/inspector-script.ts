/** What runs in the browser at `/_sim/inspector`. Text that others wrote is only ever text there: nothing is made by parsing. */
export const inspectorScript = `
const byId = (id) => document.getElementById(id)
const list = byId('requests')
const shown = new Map()
const apps = new Set()
let revision = 0

function element(name, className, ...parts) {
  const made = document.createElement(name)
  if (className) made.className = className
  made.append(...parts)
  return made
}

function outcome(one) {
  if (one.status === null) return 'under way'
  if (one.status === 0) return 'broke off'
  return String(one.status)
}

function isWrong(one) {
  return one.fault !== null || one.status === 0 || (one.error !== null && one.error !== 'ok')
}

function draw(item, one) {
  item.hidden = !fits(one)
  item.dataset.wrong = String(isWrong(one))
  const summary = element('summary', '',
    element('span', 'when', one.at.slice(11, 23)),
    element('span', 'what', element('b', '', one.method), ' ' + one.path),
    element('span', 'who', [one.app, one.person].filter(Boolean).join(' · ')),
    element('span', 'status', outcome(one), one.error && one.error !== 'ok' ? element('code', '', ' ' + one.error) : ''),
    element('span', 'why', one.fault ? 'a fault was scripted: ' + one.fault : one.rule ?? '',
      one.standing && !one.fault ? element('span', 'badge', one.standing) : ''))
  const facts = element('dl', '')
  const fact = (name, value) => value !== null && value !== '' && facts.append(element('dt', '', name), element('dd', '', String(value)))
  fact('TikTok says', one.tiktok_status === null ? null : one.tiktok_status + ' ' + (one.error ?? ''))
  fact('in words', one.message)
  fact('because of', one.rule)
  fact('which is', one.standing && one.standing + ': ' + one.known)
  fact('source', one.source)
  fact('fault', one.fault && one.fault + ': what was sent may differ')
  fact('query', one.query)
  fact('took', one.milliseconds === null ? null : one.milliseconds + ' ms')
  const open = item.firstChild?.open
  const details = element('details', '', summary, facts,
    element('h2', '', 'Request'), element('pre', '', one.request || 'no body'),
    element('h2', '', 'Answer'), element('pre', '', one.answer || 'no body'))
  details.open = Boolean(open)
  item.replaceChildren(details)
}

function fits(one) {
  const app = byId('app').value
  return (app === '' || one.app === app) && one.path.includes(byId('path').value.trim()) && (!byId('wrong').checked || isWrong(one))
}

function take({ revision: latest, anew, requests }) {
  if (anew) { shown.clear(); list.replaceChildren() }
  revision = latest
  for (const one of requests.reverse()) {
    let entry = shown.get(one.id)
    if (!entry) {
      entry = { item: element('li', '') }
      list.prepend(entry.item)
      shown.set(one.id, entry)
    }
    entry.one = one
    draw(entry.item, one)
    if (one.app && !apps.has(one.app)) {
      apps.add(one.app)
      byId('app').append(new Option(one.app))
    }
  }
  while (list.children.length > 500) {
    const [oldest] = shown.keys()
    shown.get(oldest).item.remove()
    shown.delete(oldest)
  }
  tell()
}

function tell() {
  const visible = [...shown.values()].filter(({ item }) => !item.hidden).length
  byId('state').textContent = shown.size === 0 ? 'Waiting for the first request.' : visible + ' of ' + shown.size + ' requests'
}

async function look() {
  const token = sessionStorage.getItem('control-token')
  try {
    const answer = await fetch('/_sim/requests?after=' + revision, { headers: token ? { authorization: 'Bearer ' + token } : {} })
    byId('door').hidden = answer.status !== 401
    if (answer.ok) take(await answer.json())
  } catch {
    byId('state').textContent = 'The simulator does not answer.'
  }
  setTimeout(look, document.hidden ? 5000 : 700)
}

byId('filter').addEventListener('submit', (event) => event.preventDefault())
byId('filter').addEventListener('input', () => {
  for (const { item, one } of shown.values()) item.hidden = !fits(one)
  tell()
})
byId('door').addEventListener('submit', (event) => {
  event.preventDefault()
  sessionStorage.setItem('control-token', byId('token').value)
  byId('token').value = ''
})
look()
`
