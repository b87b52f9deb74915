// Tracing: a request, its statements and its calls to TikTok as one trace (OpenTelemetry, W3C trace context). Off unless it is configured, and
// then its SDK is not loaded and every function here is a pass-through. It is the process's, as in OpenTelemetry itself.
import type { Attributes, Context, Span, SpanKind, Tracer } from '@opentelemetry/api'
import type { TraceTarget } from './export.ts'

type Api = typeof import('@opentelemetry/api')

let on: { api: Api; tracer: Tracer } | undefined

/** Switches it on. @returns how to send what is left and switch it off */
export async function startTracing(target: TraceTarget): Promise<() => Promise<void>> {
  const [api, { openTracer }] = await Promise.all([import('@opentelemetry/api'), import('./export.ts')])
  const { tracer, close } = await openTracer(target)
  on = { api, tracer }
  return async () => {
    on = undefined
    await close()
  }
}

/** The work as a span of whatever is under way. Attributes are names and counts, never what callers or TikTok sent. */
export async function inSpan<T>(
  name: string,
  attributes: Attributes,
  work: () => Promise<T>,
  outcomeOf?: (result: T) => string,
): Promise<T> {
  if (!on) return work()
  const { api, tracer } = on
  return tracer.startActiveSpan(name, { kind: api.SpanKind.CLIENT, attributes }, async (span) => {
    try {
      const result = await work()
      if (outcomeOf) span.setAttribute('outcome', outcomeOf(result))
      return result
    } catch (error) {
      failed(span, error)
      throw error
    } finally {
      span.end()
    }
  })
}

/** One request's span. `enter` goes on inside of it, as often as the way back is lost. */
export interface RequestSpan {
  enter(next: () => void): void
  end(route: string, status: number): void
}

/** @param headers a caller's `traceparent` makes this a part of its trace */
export function requestSpan(method: string, headers: Record<string, string | string[] | undefined>): RequestSpan | undefined {
  if (!on) return undefined
  const { api, tracer } = on
  const above: Context = api.propagation.extract(api.context.active(), headers)
  const kind: SpanKind = api.SpanKind.SERVER
  const span = tracer.startSpan(method, { kind, attributes: { 'http.request.method': method } }, above)
  const context = api.trace.setSpan(above, span)
  return {
    enter: (next) => api.context.with(context, next),
    end(route, status) {
      span.updateName(`${method} ${route}`)
      span.setAttributes({ 'http.route': route, 'http.response.status_code': status })
      if (status >= 500) span.setStatus({ code: api.SpanStatusCode.ERROR })
      span.end()
    },
  }
}

/** What a call of ours carries so that the other side can go on with the trace. */
export function traceHeaders(): Record<string, string> {
  const headers: Record<string, string> = {}
  on?.api.propagation.inject(on.api.context.active(), headers)
  return headers
}

/** For the log: which trace is under way here. */
export function presentTraceId(): string | undefined {
  return on?.api.trace.getActiveSpan()?.spanContext().traceId
}

/** Only its kind: messages of PostgreSQL and undici may quote what they failed on. */
function failed(span: Span, error: unknown): void {
  const code =
    error instanceof Error && 'code' in error && /^[\w.]{1,64}$/.test(String(error.code)) ? String(error.code) : undefined
  span.setAttribute('error.type', code ?? (error instanceof Error ? error.name : typeof error))
  span.setStatus({ code: 2 })
}
