// Lists come in pages with a cursor; whoever reads them sees one list.

/** @param page reads one page; the first has no cursor */
export async function* pages<T>(
  page: (from: { cursor?: string }) => Promise<{ items: T[]; nextCursor: string | null }>,
): AsyncGenerator<T, void, undefined> {
  let from: { cursor?: string } | undefined = {}
  while (from) {
    const { items, nextCursor }: { items: T[]; nextCursor: string | null } = await page(from)
    yield* items
    from = nextCursor === null ? undefined : { cursor: nextCursor }
  }
}
