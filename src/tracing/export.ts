// Loaded only when tracing is on: OpenTelemetry's tracer, and the spans as OTLP over HTTP in JSON. OpenTelemetry's own exporter brings
// protobufjs with an install script, for a format that every collector also takes as JSON.
import { type HrTime, type Tracer, trace } from '@opentelemetry/api'
import { BatchSpanProcessor, NodeTracerProvider, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace-node'

export interface TraceTarget {
  /** OTEL_EXPORTER_OTLP_ENDPOINT: spans go to its /v1/traces as JSON */
  endpoint: string
  replicaId: string
  version: string
}

const timeoutMs = 5000

export async function openTracer({
  endpoint,
  replicaId,
  version,
}: TraceTarget): Promise<{ tracer: Tracer; close(): Promise<void> }> {
  const resource = [
    attribute('service.name', 'tiktok-oauth-service'),
    attribute('service.version', version),
    attribute('service.instance.id', replicaId),
  ]
  const url = new URL('v1/traces', endpoint.endsWith('/') ? endpoint : `${endpoint}/`)
  const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporterTo(url, resource))] })
  provider.register()
  return {
    tracer: provider.getTracer('tiktok-oauth-service', version),
    async close() {
      trace.disable()
      await provider.shutdown().catch(() => undefined) // a collector that is away must not fail the end
    },
  }
}

function exporterTo(url: URL, resource: object[]): SpanExporter {
  return {
    export(spans, done) {
      const body = JSON.stringify({
        resourceSpans: [
          {
            resource: { attributes: resource },
            scopeSpans: [{ scope: { name: 'tiktok-oauth-service' }, spans: spans.map(written) }],
          },
        ],
      })
      fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
        signal: AbortSignal.timeout(timeoutMs),
      })
        .then(async (answer) => {
          await answer.arrayBuffer()
          done({ code: answer.ok ? 0 : 1 })
        })
        .catch((error: Error) => done({ code: 1, error }))
    },
    shutdown: async () => {},
  }
}

/** @see opentelemetry-proto, trace/v1: ids in hex, times in nanoseconds as text; SpanKind is counted from 1 there */
function written(span: ReadableSpan): object {
  const { traceId, spanId } = span.spanContext()
  return {
    ...{ traceId, spanId, name: span.name, kind: span.kind + 1 },
    ...(span.parentSpanContext ? { parentSpanId: span.parentSpanContext.spanId } : {}),
    startTimeUnixNano: nanoseconds(span.startTime),
    endTimeUnixNano: nanoseconds(span.endTime),
    attributes: Object.entries(span.attributes).map(([key, value]) => attribute(key, value)),
    status: { code: span.status.code },
  }
}

const attribute = (key: string, value: unknown) => ({
  key,
  value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: String(value) },
})

const nanoseconds = ([seconds, nanos]: HrTime): string => String(BigInt(seconds) * 1_000_000_000n + BigInt(nanos))
