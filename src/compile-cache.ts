// Half of a start is stripping types and compiling; from the second start on it is read back. `node src/compile-cache.ts`, where an image is built,
// makes the first start a second one.
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

/**
 * Beside the packages, where whoever may write can change our code anyway, and not in a shared directory: what is kept here is run. Where nothing can
 * be written there is no cache, or the one that is there.
 */
export function keepCompiled(): void {
  enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/compiled', import.meta.url)))
}

if (import.meta.main) {
  keepCompiled()
  const { openApiFile } = await import('./describe.ts')
  await openApiFile() // puts the whole server together: what is only loaded would be compiled again when it is called
}
