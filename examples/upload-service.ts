// An example of a caller: a service that sends videos to people's TikTok drafts. It knows an API key and TikTok's two upload calls, and
// nothing of OAuth. While the demo runs: npx node examples/upload-service.ts ACCOUNT_ID VIDEO_FILE
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { AccountsError, readTikTok, TikTokAccounts, TimeError, UserError } from 'oauth-accounts-for-tiktok'

export interface UploadServiceOptions {
  serviceUrl: string
  key: string
  tiktokApiUrl: string
}

/** What one PUT may carry. TikTok takes a larger file in several, the last of which may be up to twice as large. */
const maxChunkBytes = 64_000_000

/** @returns uploads a file to the drafts of an account, once however often it is asked: the job is the file and the account */
export function createUploadService({ serviceUrl, key, tiktokApiUrl }: UploadServiceOptions) {
  const tiktok = new TikTokAccounts({ url: serviceUrl, key })

  return async function upload(accountId: string, file: string) {
    const video = await readFile(file)
    const job = createHash('sha256').update(video).digest('hex')

    return tiktok.uploads.run(accountId, { key: job, minTtl: 900 }, async ({ token }) => {
      const size = video.length
      const chunk = size > maxChunkBytes ? maxChunkBytes / 2 : size
      const count = Math.floor(size / chunk)
      const init = await fetch(new URL('/v2/post/publish/inbox/video/init/', tiktokApiUrl), {
        method: 'POST',
        headers: { authorization: `Bearer ${token.accessToken}`, 'content-type': 'application/json; charset=UTF-8' },
        body: JSON.stringify({
          source_info: { source: 'FILE_UPLOAD', video_size: size, chunk_size: chunk, total_chunk_count: count },
        }),
      })
      const { publish_id: publishId, upload_url: to } = await readTikTok<{ publish_id: string; upload_url: string }>(init)
      for (let number = 1; number <= count; number += 1) {
        const first = (number - 1) * chunk
        const end = number < count ? first + chunk : size
        const headers = { 'content-type': 'video/mp4', 'content-range': `bytes ${first}-${end - 1}/${size}` }
        const sent = await fetch(to, { method: 'PUT', headers, body: video.subarray(first, end) })
        if (!sent.ok) throw new Error(`TikTok answered ${sent.status} to part ${number} of ${count}`)
      }
      return { publishId }
    })
  }
}

if (import.meta.main) {
  const [accountId = '', file = ''] = process.argv.slice(2)
  const { SERVICE_URL: serviceUrl = 'http://127.0.0.1:3000', TIKTOK_API_URL: tiktokApiUrl = 'http://127.0.0.1:4500' } =
    process.env
  const key = process.env.UPLOAD_KEY ?? (await readFile('.data/demo/keys/upload-service', 'utf8')).trim()
  try {
    const { upload, alreadyDone } = await createUploadService({ serviceUrl, key, tiktokApiUrl })(accountId, file)
    const { remaining } = upload.uploadQuota
    console.log(
      `${alreadyDone ? 'It was there already' : 'It is in the drafts'}: ${upload.publishId}; ${remaining} uploads left in these 24 hours`,
    )
  } catch (error) {
    process.exitCode = 1
    if (error instanceof UserError) console.error(`The person has to help: ${error.message} (${error.code})`)
    else if (error instanceof TimeError)
      console.error(`Later, ${error.problem?.nextSlotAt ?? 'in a minute'}: ${error.message} (${error.code})`)
    else console.error(error instanceof AccountsError ? `${error.message} (${error.code}, ${error.requestId})` : `${error}`)
  }
}
