// For what another process does in its own time: asks again until it is so. Where a clock can be stepped, step it instead.
// The bound is for what never comes true, so it is far above what a busy machine needs.
export async function eventually(what: string, isTrue: () => Promise<boolean> | boolean, withinMs = 120_000): Promise<void> {
  const giveUpAtMs = performance.now() + withinMs
  while (!(await isTrue())) {
    if (performance.now() > giveUpAtMs) throw new Error(`never came true: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
