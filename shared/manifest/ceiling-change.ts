/** One difference between two ceilings, and how it is put. */

/** `wider`: the driver may have more than before. `narrower`: less. `other`: neither. */
export interface CeilingChange {
  readonly effect: 'wider' | 'narrower' | 'other';
  readonly text: string;
}

export const wider = (text: string): CeilingChange => ({ effect: 'wider', text });
export const narrower = (text: string): CeilingChange => ({ effect: 'narrower', text });
export const other = (text: string): CeilingChange => ({ effect: 'other', text });

/** One change when a number rises (wider) or falls. */
export function diffNumber<T extends number | bigint>(
  before: T,
  after: T,
  text: (from: T, to: T) => string,
): CeilingChange[] {
  if (before === after) return [];
  return [after > before ? wider(text(before, after)) : narrower(text(before, after))];
}
