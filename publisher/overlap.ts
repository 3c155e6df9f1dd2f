/** Work on one thing after the other, of which each is prepared while the one before it ends. */

/** What is left of a thing whose turn is over: `rest` may go on beside the next, `isLast` ends all. */
export interface Turn {
  readonly rest?: Promise<unknown>;
  readonly isLast?: boolean;
}

/**
 * Prepares each item, and then gives it its turn. An item is prepared while the rest of the one before
 * goes on, and has its turn when that is over: never are more than two at hand. The first failure ends
 * it, when whatever was begun has come to its end; of two, that of the earlier item is thrown.
 */
export async function overlap<T, P>(
  items: Iterable<T>,
  prepare: (item: T) => Promise<P>,
  turn: (prepared: P) => Promise<Turn>,
): Promise<void> {
  let before: Promise<unknown> = Promise.resolve();
  for (const item of items) {
    const preparing = prepare(item);
    await Promise.allSettled([before, preparing]);
    await before;
    const { rest = Promise.resolve(), isLast = false } = await turn(await preparing);
    before = rest;
    // Its failure is met above or below; until then nobody need hear of it.
    before.catch(() => {});
    if (isLast) break;
  }
  await before;
}
