/** The options that the kernel was started with, cut apart as the kernel itself does it. */

/** Space as `isspace` has it (lib/ctype.c); a no-break space counts there too. */
const SPACE = /[ \t\n\v\f\r\u00a0]/;

/**
 * From /proc/cmdline, a letter for each byte. lib/cmdline.c, next_arg(): words are parted by space, save within quotes, and
 * a quote may stand before the name or before the value. kernel/params.c: dashes of a name are
 * underscores, and what follows `--` is for the first process.
 */
export function parseKernelOptions(text: string): string[] {
  const options: string[] = [];
  for (const word of wordsOf(text)) {
    if (word === '--') break;
    const [name = ''] = word.split('=', 1);
    options.push(name.replaceAll('-', '_') + word.slice(name.length));
  }
  return options;
}

function wordsOf(text: string): string[] {
  const words: string[] = [];
  let word = '';
  let started = false;
  let quoted = false;
  for (const letter of text) {
    if (letter === '"') quoted = !quoted;
    else if (quoted || !SPACE.test(letter)) word += letter;
    else if (started) {
      words.push(word);
      word = '';
    }
    started = letter === '"' || quoted || !SPACE.test(letter);
  }
  if (started) words.push(word);
  return words;
}

/** The first option of this name, as it was given. */
export function optionNamed(options: readonly string[], name: string): string | undefined {
  return options.find((option) => option.split('=', 1)[0] === name);
}
