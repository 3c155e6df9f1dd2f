/** Lines of a machine's console: which machine said it stands before each, for two may run side by side. */

/** Writes a line of this machine, whole: what another one says does not come in between. */
export function consoleOf(
  machine: string,
  write: (text: string) => unknown = (text) => process.stderr.write(text),
): (line: string) => void {
  return (line) => void write(`${machine} | ${line}\n`);
}
