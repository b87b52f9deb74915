// Random bytes by the page: one large randomFill is far cheaper than many small ones.
import { randomFillSync } from 'node:crypto'

/** @returns hands out `size` random bytes at each call, to be used before the next one; no byte is handed out twice */
export function randomPages(size: number): () => Buffer {
  const page = Buffer.alloc(size * 256)
  let used = page.length
  return () => {
    if (used === page.length) {
      randomFillSync(page)
      used = 0
    }
    used += size
    return page.subarray(used - size, used)
  }
}
