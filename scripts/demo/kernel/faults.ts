/**
 * What the played kernel can be told to do wrong, and where:
 *
 *     WHERE:KIND[:after=N][:times=N]      unbind:hang   probe:other:times=1   unbind@vfio-pci:lie
 *
 * WHERE is unbind, bind, probe, override, autoprobe or numvfs; `@driver` narrows the first two to one
 * driver.
 *   fail   the write is refused. In place of the pipe stands a folder, and opening it for writing
 *          fails (EISDIR stands in for the kernel's own errno). A plain file cannot refuse root:
 *          for the last three the write is taken and the old value put back.
 *   hang   the write does not return. Nobody opens the pipe; for the last three there is no such pipe.
 *   lie    the write returns and nothing is done. An override that lies reads back as it was
 *          written, and no probe heeds it.
 *   other  something else is done: another driver is bound, another override is kept, one virtual
 *          function less is made.
 * `after` lets so many writes through before; `times` ends a lie or an other after so many.
 */

export const PLACES = ['unbind', 'bind', 'probe', 'override', 'autoprobe', 'numvfs'] as const;
export type Place = (typeof PLACES)[number];
export const KINDS = ['fail', 'hang', 'lie', 'other'] as const;
export type Kind = (typeof KINDS)[number];

export interface Fault {
  readonly place: Place;
  /** Only at this driver's files. */
  readonly driver: string | undefined;
  readonly kind: Kind;
  readonly after: number;
  readonly times: number;
}

export function parseFault(text: string): Fault {
  const bad = (why: string): TypeError => new TypeError(`not a fault (${why}): ${text}`);
  const [where = '', kind = '', ...rest] = text.split(':');
  const [place, driver] = where.split('@');
  if (!PLACES.includes(place as Place)) throw bad(`no place ${place}`);
  if (!KINDS.includes(kind as Kind)) throw bad(`no kind ${kind}`);
  if (!['unbind', 'bind', 'probe'].includes(place as string) && kind === 'hang')
    throw bad('no plain file makes a write wait');
  const settings = new Map(rest.map((setting) => setting.split('=') as [string, string]));
  const number = (name: string, otherwise: number): number => {
    const value = settings.get(name);
    settings.delete(name);
    if (value !== undefined && !/^\d+$/.test(value)) throw bad(`${name} is no number`);
    return value === undefined ? otherwise : Number(value);
  };
  const fault = {
    place: place as Place,
    driver,
    kind: kind as Kind,
    after: number('after', 0),
    times: number('times', Number.POSITIVE_INFINITY),
  };
  if (settings.size > 0) throw bad(`no setting ${[...settings.keys()].join(', ')}`);
  return fault;
}

/** Counts writes, and says which fault is due at each. */
export class Faults {
  readonly #faults: readonly Fault[];
  readonly #seen: number[];

  constructor(faults: readonly Fault[]) {
    this.#faults = faults;
    this.#seen = faults.map(() => 0);
  }

  /** The faults that keep a place from taking writes from now on. */
  isClosed(kind: 'fail' | 'hang', place: Place, driver: string | undefined): boolean {
    return this.#faults.some(
      (fault, i) =>
        fault.kind === kind &&
        isAt(fault, place, driver) &&
        (this.#seen[i] as number) >= fault.after,
    );
  }

  /** Notes one write that arrived, and tells what is to go wrong with it. */
  take(place: Place, driver: string | undefined): Kind | undefined {
    let due: Kind | undefined;
    for (const [i, fault] of this.#faults.entries()) {
      if (!isAt(fault, place, driver)) continue;
      const seen = this.#seen[i] as number;
      this.#seen[i] = seen + 1;
      if (seen >= fault.after && seen < fault.after + fault.times) due ??= fault.kind;
    }
    return due;
  }
}

function isAt(fault: Fault, place: Place, driver: string | undefined): boolean {
  return fault.place === place && (fault.driver === undefined || fault.driver === driver);
}
