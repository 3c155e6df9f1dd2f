/** What the demo prints: one line a step with its time, and what a program said, indented. */

let started = performance.now();

export function beginClock(): void {
  started = performance.now();
}

export function heading(text: string): void {
  process.stdout.write(`\n${text}\n`);
}

/** Does `work` and prints one line with the time that it took. */
export async function step<T>(number: number, text: string, work: () => Promise<T>): Promise<T> {
  const from = performance.now();
  const result = await work();
  const took = `${((performance.now() - from) / 1000).toFixed(2)} s`;
  process.stdout.write(`${String(number).padStart(2)}. ${text.padEnd(74)} ${took}\n`);
  return result;
}

export function detail(text: string): void {
  for (const line of text.trimEnd().split('\n')) process.stdout.write(`      ${line}\n`);
}

export function total(): string {
  return `${((performance.now() - started) / 1000).toFixed(1)} s`;
}
