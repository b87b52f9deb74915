// Loaded before a child's own program (`node --import`). Standard input is a pipe from the demo; when it ends, the demo has asked the child
// to end, or has itself been killed. Either way the child is told as by SIGTERM, on Windows too, where there is no such signal.
const graceMs = 20_000

process.stdin.once('close', () => {
  setTimeout(() => process.exit(1), graceMs).unref()
  if (!process.emit('SIGTERM', 'SIGTERM')) process.exit(0) // still starting: nobody listens yet
})
process.stdin.on('error', () => {})
process.stdin.resume()
