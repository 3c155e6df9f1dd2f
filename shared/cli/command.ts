/**
 * What a command is: data from which parsing, help, completion and the reference page are made,
 * and one function that does the work and returns its result instead of printing it.
 */

export interface ArgumentSpec {
  readonly name: string;
  readonly description: string;
  readonly optional?: boolean;
  readonly variadic?: boolean;
}

export interface OptionSpec {
  /** As commander writes them: `--root <file>`, `-o, --out <file>`, `--keep`. */
  readonly flags: string;
  readonly description: string;
  readonly default?: string;
  readonly required?: boolean;
  /** May be given several times; its value is then always an array. */
  readonly repeatable?: boolean;
  /** The environment variable that stands in when the flag is absent. */
  readonly env?: string;
}

export interface CommandSpec {
  /** `get-verified`, or noun and verb: `vendor add`. */
  readonly name: string;
  readonly summary: string;
  /** More than the summary, for `--help`. */
  readonly description?: string;
  readonly arguments?: readonly ArgumentSpec[];
  readonly options?: readonly OptionSpec[];
  /** Whole command lines, at least one. */
  readonly examples: readonly [string, ...string[]];
  /** The name of the `--json` document's schema: `ironport-client/get-verified/v1`. */
  readonly schema: string;
  run(context: CommandContext): Promise<CommandResult>;
}

export interface CommandContext {
  /** Positional arguments in the order of the spec; absent optional ones are undefined. */
  readonly args: readonly (string | undefined)[];
  /** The variadic argument, when the spec has one. */
  readonly rest: readonly string[];
  /** The leading address (`127.0.0.1:8080`, `https://…`), for programs that take one. */
  readonly address: string | undefined;
  /** Whether the command has an option of this name; asking for the value of another is a defect. */
  has(name: string): boolean;
  /** A text option, by its long name (`root`), or undefined. */
  text(name: string): string | undefined;
  /** A text option that must be there; `E_USAGE` otherwise. */
  need(name: string): string;
  /** A repeatable option. */
  list(name: string): readonly string[];
  /** A switch. */
  flag(name: string): boolean;
  /** A whole number of at least `least`; `E_USAGE` when the text is not one. */
  number(name: string, least: number): number | undefined;
  /** With what the configuration file says where the environment says nothing. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Which variables a configuration file stood in for, and which file. */
  readonly configured: ReadonlyMap<string, string>;
  /** Whoever sits at the terminal; undefined where there is none. */
  readonly person: Person | undefined;
  readonly ui: Ui;
  readonly signal: AbortSignal;
}

export interface CommandResult {
  /** What `--json` carries as `data`. */
  readonly data: unknown;
  /** What people read on stdout; without it, nothing is printed there. */
  readonly text?: string;
  /** Exit status, when it is not 0 although nothing was thrown. */
  readonly exit?: number;
  /** Print `data` itself under `--json`, without the envelope. For formats that others defined. */
  readonly bare?: boolean;
}

/** Somebody who can be asked, on the terminal itself: stdin and stdout may be pipes. */
export interface Person {
  /** An answer that is not shown while it is typed. `E_CANCELLED` on Ctrl-C. */
  secret(question: string): Promise<string>;
  /** One line, without white space around it. */
  line(question: string): Promise<string>;
}

/** The only way to say something while working; all of it goes to stderr. */
export interface Ui {
  /** One stage of the work has begun or ended. Lower case, no full stop. */
  stage(text: string): void;
  /** Something the reader should know. */
  note(text: string): void;
  /** A line for machines, exactly as it is. */
  line(text: string): void;
  /** Something that may be wrong although the work goes on. */
  warn(text: string): void;
  /** A bar on a terminal, one line at the end elsewhere; total in bytes when known. */
  progress(label: string, total?: number): Progress;
}

export interface Progress {
  advance(bytes: number): void;
  done(): void;
}

/** What a configuration file may set, and the variable that it stands in for. */
export interface Setting {
  readonly env: string;
  /** Whether it decides what is trusted: then not from a working folder. */
  readonly decidesTrust?: boolean;
}

export interface ProgramSpec {
  readonly name: string;
  readonly summary: string;
  /** The keys of its configuration file, for programs that have one. */
  readonly config?: Readonly<Record<string, Setting>>;
  /** Whether a first argument with `:` in it is an address (`ironport-client ADDR VERB`). */
  readonly takesAddress?: boolean;
  /** The command that runs when the address is followed by something that is no command. */
  readonly addressDefault?: string;
  readonly commands: readonly CommandSpec[];
}
