/** `source_info`: where the media comes from, and into how many chunks a file is cut. */
import { z } from 'zod'
import { Refusal } from './admission.ts'

/** TikTok says MB. 64 of them are taken as binary, because chunks of 64 MiB are in use, and 5 as decimal, because those are too. */
const minChunkBytes = 5_000_000
const maxChunkBytes = 64 * 1024 * 1024
const maxVideoBytes = 4 * 1024 ** 3
const maxChunks = 1000

const count = z.number().int().min(1)
const VideoSource = z.discriminatedUnion('source', [
  z.object({ source: z.literal('FILE_UPLOAD'), video_size: count, chunk_size: count, total_chunk_count: count }),
  z.object({ source: z.literal('PULL_FROM_URL'), video_url: z.string().min(1) }),
])
export type VideoSource = z.infer<typeof VideoSource>

const PhotoSource = z.object({
  source: z.literal('PULL_FROM_URL'),
  photo_images: z.array(z.string().min(1)).min(1).max(35),
  photo_cover_index: z.number().int().min(0).default(0),
})

const incorrect = () => invalid('The request source info is empty or incorrect')

/** @throws Refusal invalid_params in TikTok's words */
export function readVideoSource(body: Record<string, unknown>): VideoSource {
  const { data: source } = VideoSource.safeParse(body.source_info)
  if (!source) throw incorrect()
  if (source.source === 'FILE_UPLOAD') checkChunks(source.video_size, source.chunk_size, source.total_chunk_count)
  return source
}

export function readPhotoUrls(body: Record<string, unknown>): string[] {
  const { data: source } = PhotoSource.safeParse(body.source_info)
  if (!source || source.photo_cover_index >= source.photo_images.length) throw incorrect()
  return source.photo_images
}

/** The trailing bytes belong to the last chunk, so the count is rounded down; a single chunk is the whole video. */
function checkChunks(videoSize: number, chunkSize: number, chunkCount: number): void {
  if (videoSize > maxVideoBytes) throw invalid('The video size is invalid')
  const isWhole = chunkSize === videoSize
  if (chunkSize > Math.min(videoSize, maxChunkBytes) || (chunkSize < minChunkBytes && !isWhole))
    throw invalid('The chunk size is invalid')
  if (chunkCount !== Math.floor(videoSize / chunkSize) || chunkCount > maxChunks)
    throw invalid('The total chunk count is invalid')
  if (chunkCount === 1 && !isWhole) throw invalid('The chunk size is invalid')
}

function invalid(message: string): Refusal {
  return new Refusal('invalid_params', message)
}
