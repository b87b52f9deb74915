// 70 MB in chunks, by the rules of two uploaders that are in use, to a simulator in a process of its own whose memory is looked at.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { request } from 'node:http'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const server = fileURLToPath(new URL('../src/server.ts', import.meta.url))
const script = `import { startSimulator } from ${JSON.stringify(server)}
const simulator = await startSimulator()
const [grant] = simulator.issueGrants({ count: 1 })
process.on('message', async () => {
  await gc({ type: 'major', execution: 'async' })
  gc() // buffers are swept beside the first, and done with by the second
  process.send(process.memoryUsage())
})
process.send({ url: simulator.url, token: grant.access_token })`

const size = 70_000_123

/** Which answers are good for a part and for the last one, and how large a chunk is. */
const uploaders = [
  { called: 'takes 200, 201 and 206 whenever they come', chunkSize: 10_000_000, part: [200, 201, 206], last: [200, 201, 206] },
  { called: 'demands 206 for every part and 201 at the end', chunkSize: size >> 1, part: [206], last: [201] },
]

t.test('70 MB go through by either rule, and nothing of them is kept, not even while they come', async (t) => {
  const args = ['--expose-gc', '--input-type=module', '--eval', script]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  t.teardown(() => child.kill())
  const [{ url, token }] = (await once(child, 'message')) as [{ url: string; token: string }]
  const memory = async () => {
    child.send('how much?')
    const [usage] = (await once(child, 'message')) as [NodeJS.MemoryUsage]
    return usage
  }
  const call = async (path: string, body: object) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json; charset=UTF-8' }
    const answer = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    return ((await answer.json()) as { data: Record<string, string> }).data
  }
  const video = Buffer.alloc(size)
  const before = await memory()
  let most = 0
  for (const { called, chunkSize, part, last } of uploaders) {
    const count = Math.floor(size / chunkSize)
    const source_info = { source: 'FILE_UPLOAD', video_size: size, chunk_size: chunkSize, total_chunk_count: count }
    const { publish_id, upload_url = '' } = await call('/v2/post/publish/inbox/video/init/', { source_info })
    for (let number = 0; number < count; number += 1) {
      const first = number * chunkSize
      const end = number === count - 1 ? size : first + chunkSize
      const range = `bytes ${first}-${end - 1}/${size}`
      const headers = { 'content-type': 'video/mp4', 'content-range': range, 'content-length': end - first }
      const put = request(upload_url, { method: 'PUT', headers })
      await new Promise((resolve) => put.write(video.subarray(first, end - 1), resolve)) // all but the last byte
      most = Math.max(most, (await memory()).arrayBuffers - before.arrayBuffers)
      put.end(video.subarray(end - 1, end))
      const [{ statusCode = 0 }] = await once(put, 'response')
      t.ok((number === count - 1 ? last : part).includes(statusCode), `${called}: ${statusCode} for ${number + 1} of ${count}`)
    }
    const { status, uploaded_bytes } = await call('/v2/post/publish/status/fetch/', { publish_id })
    t.strictSame([status, uploaded_bytes], ['SEND_TO_USER_INBOX', size])
  }
  t.ok(most < 2_000_000, `${most} bytes of a chunk were in memory before its last byte`)
  t.comment(`resident before and after: ${before.rss >> 20} and ${(await memory()).rss >> 20} MB`)
})
