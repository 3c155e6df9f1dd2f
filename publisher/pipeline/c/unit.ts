/** What the pipeline wants to know of one C source. All places are offsets into its text. */

import type { Scopes } from './scopes.ts';

/** A call by name: `kfree(p)`. Macros that are used like functions look the same. */
export interface CallSite {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  /** The arguments with their parentheses. */
  readonly argumentsStart: number;
  readonly argumentsEnd: number;
  readonly argumentCount: number;
  readonly scope: number;
  /** The function that it stands in. */
  readonly within: string | undefined;
  /** A block or statement follows instead of a semicolon: a macro such as `list_for_each_entry`. */
  readonly isLoop: boolean;
}

/** Why a name is not the name of a call that can be renamed. */
export type OtherUse =
  /** A value: stored, passed, compared. */
  | 'value'
  /** Declared or defined here. */
  | 'declaration'
  /** Where the grammar could not read. */
  | 'unreadable'
  /** In the condition of `#if`. */
  | 'preprocessor'
  /** In the body of a `#define`. */
  | 'macro-body'
  /** In `__attribute__((…))`. */
  | 'attribute'
  /** Called in parentheses, `(kfree)(p)`, which asks for the function and not for a macro. */
  | 'parenthesised'
  /** Broken over two lines by a backslash. */
  | 'spliced';

export interface NamePlace {
  readonly name: string;
  readonly start: number;
  readonly use: OtherUse;
}

export interface CUnit {
  readonly calls: readonly CallSite[];
  /** Calls through a pointer, a member or an expression: offsets. */
  readonly indirect: readonly number[];
  /** Parts that the grammar could not read. */
  readonly unreadable: readonly { readonly start: number; readonly end: number }[];
  /** Inline assembly: offsets. */
  readonly assembly: readonly number[];
  /** Names that were watched for, in any other place than a call. */
  readonly others: readonly NamePlace[];
  /** Values of variables of type `struct pci_device_id`. */
  readonly deviceTables: readonly { readonly start: number; readonly end: number }[];
  readonly scopes: Scopes;
}
