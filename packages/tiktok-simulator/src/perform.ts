/** Carries out a call as TikTok would on that day: slowly, wrongly, half, or simply well. */
import type { ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import type { Call, Fault } from './faults.ts'
import { latencyMs } from './settings.ts'
import { type Answer, apiFailure, json, oauthFailure, send } from './wire.ts'
import type { World } from './world.ts'

/** @param met told of the fault, if there is one */
export async function perform(world: World, call: Call, response: ServerResponse, met: (fault: Fault) => void): Promise<void> {
  const fault = world.faults.take(call)
  if (fault) met(fault)
  const latency = latencyMs(world.settings, call.routes)
  if (latency > 0) await wait(world, latency)
  if (!fault) return send(response, call.process())

  world.stats.count('faults_applied')
  await wait(world, fault.before_ms)
  if (fault.reset === 'before') return hangUp(response)
  const real = fault.process ? call.process() : undefined
  await wait(world, fault.after_ms)
  if (fault.reset === 'after') return hangUp(response)
  await deliver(world, fault, spoil(world, fault, call, real), response)
}

function spoil(world: World, fault: Fault, call: Call, real: Answer | undefined): Answer {
  const base = replaced(world, fault, call) ?? real ?? failure(world, call, 'server_error', fault.status ?? 500)
  const headers: Record<string, string> = { ...base.headers }
  if (fault.content_type !== undefined) headers['content-type'] = fault.content_type
  for (const [name, value] of Object.entries(fault.headers)) headers[name.toLowerCase()] = value
  const body = typeof base.body === 'string' ? editFields(fault, base.body) : base.body
  return { status: fault.status ?? base.status, headers, body }
}

/** @returns what the fault says instead of TikTok, if it says anything */
function replaced({ settings }: World, fault: Fault, call: Call): Answer | undefined {
  if (fault.redirect !== undefined) return { status: 307, headers: { location: fault.redirect }, body: '' }
  if (fault.body !== undefined) {
    const status = fault.status ?? 200
    if (typeof fault.body !== 'string') return json(status, fault.body)
    const contentType = /^\s*</.test(fault.body) ? 'text/html' : 'application/json'
    return { status, headers: { 'content-type': contentType }, body: fault.body }
  }
  if (fault.error !== undefined) {
    const word = call.shape === 'oauth' ? oauthFailure : apiFailure
    return word(settings, fault.error, 'Scripted by the test.', fault.status)
  }
  return undefined
}

/** A status alone still comes with words: those the route uses for it. */
function failure({ settings }: World, { shape }: Call, error: string, status: number): Answer {
  if (shape === 'plain') return { status, headers: { 'content-type': 'text/plain' }, body: 'Scripted by the test.' }
  const api: Record<number, string> = { 401: 'access_token_invalid', 400: 'invalid_params', 429: 'rate_limit_exceeded' }
  if (shape === 'api') return apiFailure(settings, api[status] ?? 'internal_error', 'Scripted by the test.', status)
  const oauth: Record<number, string> = { 400: 'invalid_request', 401: 'invalid_client', 429: 'temporarily_unavailable' }
  const code = oauth[status] ?? (status === 503 ? 'temporarily_unavailable' : error)
  return oauthFailure(settings, code, 'Scripted by the test.', status)
}

function editFields({ omit, set }: Fault, body: string): string {
  if (omit.length === 0 && Object.keys(set).length === 0) return body
  const answer = jsonObject(body)
  if (!answer) return body
  const fields = innermost(answer)
  for (const name of omit) delete fields[name]
  Object.assign(fields, set)
  return JSON.stringify(answer)
}

function jsonObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** The token set is flat; a user is inside `data.user`, an upload inside `data`. */
function innermost(answer: Record<string, unknown>): Record<string, unknown> {
  for (const name of ['data', 'user']) {
    const inner = answer[name]
    if (typeof inner === 'object' && inner !== null) return innermost(inner as Record<string, unknown>)
  }
  return answer
}

async function deliver(world: World, fault: Fault, answer: Answer, response: ServerResponse): Promise<void> {
  const body = typeof answer.body === 'string' ? Buffer.from(answer.body) : answer.body
  if (!Buffer.isBuffer(body)) return send(response, answer)
  const shown = body.subarray(0, fault.cut_at_bytes ?? body.length)
  if (fault.size_bytes !== undefined) {
    // No content-length: a client must count for itself.
    return send(response, { ...answer, body: padded(shown, fault.size_bytes) })
  }
  if (fault.reset === undefined && fault.drip_ms === undefined) return send(response, { ...answer, body: shown })

  response.writeHead(answer.status, { ...answer.headers, 'content-length': shown.length })
  if (fault.reset === 'mid_body') {
    response.write(shown.subarray(0, Math.floor(shown.length / 2)), () => response.socket?.destroy())
    return
  }
  for (const byte of shown) {
    if (response.destroyed) return
    response.write(Buffer.of(byte))
    await wait(world, fault.drip_ms ?? 0)
  }
  response.end()
}

function* padded(start: Buffer, sizeBytes: number): Generator<Buffer> {
  yield start
  const spaces = Buffer.alloc(65_536, ' ')
  for (let left = sizeBytes - start.length; left > 0; left -= spaces.length)
    yield spaces.subarray(0, Math.min(left, spaces.length))
}

function hangUp(response: ServerResponse): void {
  response.socket?.resetAndDestroy()
}

/** Ends early, with an AbortError, when the simulator closes. */
async function wait({ closing }: World, milliseconds: number): Promise<void> {
  if (milliseconds > 0) await pause(milliseconds, undefined, { signal: closing })
}
