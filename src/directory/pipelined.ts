/**
 * Requests in flight at once. OpenLDAP closes a connection that has more than 100 waiting (`conn_max_pending`, of an anonymous
 * one), so this stays well below.
 */
const IN_FLIGHT = 50;

/**
 * Calls `request` for each item, many at a time. When one rejects, no more are begun; those under way are waited for, then
 * the first failure is thrown, or the signal's reason.
 */
export async function pipelined<T>(
  items: readonly T[],
  signal: AbortSignal | undefined,
  request: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failure: { readonly error: unknown } | undefined;
  const lane = async () => {
    while (next < items.length && failure === undefined && !signal?.aborted) {
      const item = items[next] as T;
      next += 1;
      try {
        await request(item);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, items.length) }, lane));
  signal?.throwIfAborted();
  if (failure !== undefined) throw failure.error;
}
