/** Many small waits for the disk, some at a time: one after the other each would wait by itself. */

/** What Node's pool of threads does at once, unless it is told otherwise. */
const LANES = 4;

/** Runs `act` for each item, `lanes` at a time. The first failure ends it, when those under way end. */
export async function beside<T>(
  items: Iterable<T>,
  act: (item: T) => Promise<unknown>,
  lanes = LANES,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let failed = false;
  const lane = async (): Promise<void> => {
    for (let next = iterator.next(); !failed && next.done !== true; next = iterator.next()) {
      try {
        await act(next.value);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: lanes }, lane));
  const broken = ended.find((one) => one.status === 'rejected');
  if (broken !== undefined) throw broken.reason;
}
