/** The sessions of a guide: its console blocks, line by line. */

export interface Step {
  /** What is typed after `$ `. */
  readonly line: string;
  /** The lines below it, up to the next that is typed. */
  readonly shown: readonly string[];
}

/** Of all the console blocks of a page of Markdown, in their order. */
export function steps(page: string): Step[] {
  const blocks = [...page.matchAll(/^```console\n([\s\S]*?)^```$/gm)].map(([, block]) => block);
  return blocks.flatMap((block) =>
    (block as string)
      .split(/^\$ /m)
      .slice(1)
      .map((text) => {
        const [line = '', ...shown] = text.trimEnd().split('\n');
        return { line, shown };
      }),
  );
}
