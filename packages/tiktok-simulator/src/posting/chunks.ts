/** `PUT upload_url`: the bytes of a video, chunk by chunk in their order. They are counted and not kept. */
import type { Call } from '../faults.ts'
import type { Answer, Request } from '../wire.ts'
import type { World } from '../world.ts'
import type { Publication, Upload } from './publication.ts'

const uploadUrlMs = 3_600_000

/** @returns undefined for another route */
export function chunkCall(world: World, request: Request): Call | undefined {
  if (request.method !== 'PUT' || request.path !== '/video/') return undefined
  const { query } = request
  const publication = world.publications.findUpload(query.get('upload_id') ?? '', query.get('upload_token') ?? '')
  return {
    shape: 'plain',
    routes: ['chunk'],
    subject: { person: publication && world.people.find(publication.person) },
    process: () => {
      const answer = takeChunk(world, request, publication)
      world.stats.count(answer.status < 300 ? 'chunks' : 'chunks_refused')
      return answer
    },
  }
}

function takeChunk({ clock, publications }: World, request: Request, publication: Publication | undefined): Answer {
  const upload = publication?.upload
  if (!publication || !upload || publication.status !== 'PROCESSING_UPLOAD' || publication.arrived_at !== null)
    return progress(404, publication)
  if (clock.now() >= publication.created_at + uploadUrlMs) return progress(403, publication)

  const { 'content-range': range, 'content-type': type = '', 'content-length': length } = request.headers
  if (range === undefined) return progress(416, publication)
  const [, first = '', last = '', total = ''] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(range) ?? []
  const bytes = Number(last) - Number(first) + 1
  if (first === '' || length === undefined || !/^video\/[a-z0-9]/i.test(type) || bytes !== request.bodyBytes)
    return progress(400, publication)
  if (Number(total) !== upload.video_size || Number(first) !== publication.bytes || bytes !== nextChunkBytes(upload, publication))
    return progress(416, publication)
  publications.receive(publication, bytes)
  return progress(publication.bytes === upload.video_size ? 201 : 206, publication)
}

/** The last chunk takes along what the others leave. */
function nextChunkBytes({ video_size, chunk_size, total_chunk_count }: Upload, { bytes }: Publication): number {
  const isLast = bytes === chunk_size * (total_chunk_count - 1)
  return isLast ? video_size - bytes : chunk_size
}

/** Every answer says how far the upload is: the number of bytes, not the place of the last one. */
function progress(status: number, publication: Publication | undefined): Answer {
  const { bytes = 0, upload } = publication ?? {}
  return { status, headers: upload ? { 'content-range': `bytes 0-${bytes}/${upload.video_size}` } : {}, body: '' }
}
