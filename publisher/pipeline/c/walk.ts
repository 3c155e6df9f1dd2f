/** The walk over the syntax tree of a C source, in the node types of tree-sitter-c. */

import type { TreeCursor } from 'web-tree-sitter';
import { C_KEYWORDS } from '../pattern/names.ts';
import { Scopes } from './scopes.ts';
import type { CallSite, CUnit, OtherUse } from './unit.ts';

const NAMES = new Set([
  'identifier',
  'type_identifier',
  'field_identifier',
  'statement_identifier',
]);
const OPEN_SCOPE = new Set(['function_definition', 'compound_statement', 'for_statement']);
const ATTRIBUTES = new Set([
  'attribute_specifier',
  'attribute_declaration',
  'ms_declspec_modifier',
]);
/** What a declarator may be wrapped in (C23 6.7.7). */
const DECLARATORS = new Set([
  'pointer_declarator',
  'array_declarator',
  'function_declarator',
  'init_declarator',
  'parenthesized_declarator',
  'attributed_declarator',
]);
/** Of these, the ones whose inner declarator has no field name in the grammar. */
const UNNAMED = new Set(['parenthesized_declarator', 'attributed_declarator']);

type Draft = { -readonly [K in keyof CallSite]: CallSite[K] };

/** A node that the walk is inside of. */
interface Frame {
  readonly type: string;
  readonly field: string | null;
  readonly scope: number;
  readonly kind: 'error' | 'condition' | 'attribute' | 'other';
  /** Of a call: what is known so far. */
  readonly call?: Draft;
  /** The call that was the last complete child. */
  lastCall?: Draft | undefined;
  /** Of a declaration: its type is `struct pci_device_id`. */
  isDeviceTable?: boolean;
}

export class Walk {
  readonly calls: CallSite[] = [];
  /** What names are used for that are watched and no calls, by offset. */
  readonly uses = new Map<number, OtherUse | 'member'>();
  readonly #indirect: number[] = [];
  readonly #unreadable: { start: number; end: number }[] = [];
  readonly #assembly: number[] = [];
  readonly #deviceTables: { start: number; end: number }[] = [];
  readonly #scopes = new Scopes();
  readonly #text: string;
  readonly #watched: ReadonlySet<string>;
  readonly #frames: Frame[] = [];
  /** How many of the frames are of these kinds. */
  readonly #inside = { error: 0, condition: 0, attribute: 0, other: 0 };
  #within: string | undefined;

  constructor(text: string, watched: ReadonlySet<string>) {
    this.#text = text;
    this.#watched = watched;
  }

  unit(): Omit<CUnit, 'calls' | 'others'> {
    return {
      indirect: this.#indirect,
      unreadable: this.#unreadable,
      assembly: this.#assembly,
      deviceTables: this.#deviceTables,
      scopes: this.#scopes,
    };
  }

  /** Without recursion: a hostile source nests as deep as it is long. */
  run(cursor: TreeCursor): void {
    for (;;) {
      this.#enter(cursor);
      if (cursor.gotoFirstChild()) continue;
      this.#leave();
      while (!cursor.gotoNextSibling()) {
        if (!cursor.gotoParent()) return;
        this.#leave();
      }
    }
  }

  #enter(cursor: TreeCursor): void {
    const type = cursor.nodeType;
    const field = cursor.currentFieldName;
    const parent = this.#frames.at(-1);
    let scope = parent?.scope ?? 0;
    if (OPEN_SCOPE.has(type)) scope = this.#scopes.open(scope);
    const kind = kindOf(type, field, parent);
    const base = { type, field, scope, kind };
    this.#inside[kind]++;
    this.#note(type, field, cursor, parent);
    if (parent !== undefined) this.#asArgument(type, field, cursor, parent);
    if (NAMES.has(type)) this.#name(type, field, cursor.startIndex, cursor.endIndex);
    const call = type === 'call_expression' ? this.#draft(scope) : undefined;
    this.#frames.push(call === undefined ? base : { ...base, call });
  }

  #draft(scope: number): Draft {
    return {
      name: '',
      start: -1,
      end: -1,
      argumentsStart: -1,
      argumentsEnd: -1,
      argumentCount: 0,
      scope,
      within: this.#within,
      isLoop: false,
    };
  }

  /** Nodes that count by their being there. */
  #note(type: string, field: string | null, cursor: TreeCursor, parent: Frame | undefined): void {
    if (type === 'ERROR' && this.#inside.error === 1) {
      this.#unreadable.push({ start: cursor.startIndex, end: cursor.endIndex });
    } else if (type === 'gnu_asm_expression') {
      this.#assembly.push(cursor.startIndex);
    } else if (type === ';' && cursor.nodeIsMissing && parent?.lastCall !== undefined) {
      // `list_for_each_entry(…) {`: the grammar misses a semicolon after what it takes for a call.
      parent.lastCall.isLoop = true;
    } else if (type === 'initializer_list' && field === 'value') {
      if (this.#frames.at(-2)?.isDeviceTable === true)
        this.#deviceTables.push({ start: cursor.startIndex, end: cursor.endIndex });
    }
  }

  #asArgument(type: string, field: string | null, cursor: TreeCursor, parent: Frame): void {
    if (type === 'argument_list' && field === 'arguments' && parent.call !== undefined) {
      parent.call.argumentsStart = cursor.startIndex;
      parent.call.argumentsEnd = cursor.endIndex;
    } else if (parent.type === 'argument_list' && cursor.nodeIsNamed && type !== 'comment') {
      const call = this.#frames.at(-2)?.call;
      if (call !== undefined) call.argumentCount++;
    }
  }

  #name(type: string, field: string | null, start: number, end: number): void {
    if (end === start) return;
    const name = this.#text.slice(start, end);
    const parent = this.#frames.at(-1);
    if (type === 'identifier' && field === 'function' && parent?.call !== undefined) {
      parent.call.name = name;
      parent.call.start = start;
      parent.call.end = end;
    } else if (type === 'identifier') {
      this.#declare(name, field);
    } else if (type === 'type_identifier' && name === 'pci_device_id') {
      const declaration = this.#frames.at(-2);
      if (parent?.type === 'struct_specifier' && declaration?.type === 'declaration')
        declaration.isDeviceTable = true;
    }
    if (this.#watched.has(name)) this.uses.set(start, this.#useOf(type));
  }

  #useOf(type: string): OtherUse | 'member' {
    if (this.#inside.error > 0) return 'unreadable';
    if (this.#inside.condition > 0) return 'preprocessor';
    if (this.#inside.attribute > 0) return 'attribute';
    if (type === 'field_identifier' || type === 'statement_identifier') return 'member';
    const parent = this.#frames.at(-1);
    if (parent?.type === 'parenthesized_expression' && parent.field === 'function')
      return 'parenthesised';
    const isDeclared = type === 'type_identifier' || isDeclarator(parent);
    return isDeclared ? 'declaration' : 'value';
  }

  /** Notes the name as declared, if it stands where a declarator stands. */
  #declare(name: string, field: string | null): void {
    const parent = this.#frames.at(-1);
    if (parent === undefined) return;
    if (parent.type === 'enumerator') {
      this.#scopes.variable(parent.scope, name);
      return;
    }
    if (parent.type === 'preproc_def' || parent.type === 'preproc_function_def') {
      if (field === 'name') this.#scopes.define(name);
      return;
    }
    const { root, fieldInRoot, isFunction } = this.#declaratorRoot(field);
    if (root === undefined || fieldInRoot !== 'declarator') return;
    if (root.type === 'declaration') {
      // A prototype says that the function is elsewhere.
      if (!isFunction) this.#scopes.variable(root.scope, name);
    } else if (root.type === 'function_definition') {
      if (!isFunction) return;
      this.#scopes.define(name);
      this.#within = name;
    } else if (root.type === 'parameter_declaration' && this.#isOfDefinition(root)) {
      this.#scopes.variable(root.scope, name);
    }
  }

  /** Climbs from a name over what wraps its declarator. */
  #declaratorRoot(field: string | null): {
    root: Frame | undefined;
    fieldInRoot: string | null;
    isFunction: boolean;
  } {
    let at = this.#frames.length - 1;
    let inside = field;
    const isFunction = this.#frames[at]?.type === 'function_declarator';
    for (;;) {
      const frame = this.#frames[at];
      if (frame === undefined || !DECLARATORS.has(frame.type))
        return { root: frame, fieldInRoot: inside, isFunction };
      // The size of an array, the value of an initializer.
      if (inside !== 'declarator' && !UNNAMED.has(frame.type))
        return { root: undefined, fieldInRoot: null, isFunction };
      inside = frame.field;
      at--;
    }
  }

  /** Whether a parameter belongs to the function that is being defined, not to a pointer's type. */
  #isOfDefinition(parameter: Frame): boolean {
    let at = this.#frames.lastIndexOf(parameter) - 1;
    if (this.#frames[at]?.type !== 'parameter_list') return false;
    for (at--; DECLARATORS.has(this.#frames[at]?.type ?? ''); at--);
    return this.#frames[at]?.type === 'function_definition';
  }

  #leave(): void {
    const frame = this.#frames.pop();
    if (frame === undefined) return;
    const readable =
      this.#inside.error === 0 && this.#inside.condition === 0 && this.#inside.attribute === 0;
    this.#inside[frame.kind]--;
    if (frame.type === 'function_definition') this.#within = undefined;
    const parent = this.#frames.at(-1);
    if (parent !== undefined) parent.lastCall = frame.call;
    if (frame.call === undefined || !readable) return;
    if (frame.call.start === -1) this.#indirect.push(frame.call.argumentsStart);
    // `if (…)` where the grammar lost its way is no call.
    else if (!C_KEYWORDS.has(frame.call.name)) this.calls.push(frame.call);
  }
}

function kindOf(type: string, field: string | null, parent: Frame | undefined): Frame['kind'] {
  if (type === 'ERROR') return 'error';
  if (ATTRIBUTES.has(type)) return 'attribute';
  // The grammar calls `IS_ENABLED(X)` in a condition a call.
  const isCondition =
    field === 'condition' && (parent?.type === 'preproc_if' || parent?.type === 'preproc_elif');
  return isCondition ? 'condition' : 'other';
}

function isDeclarator(frame: Frame | undefined): boolean {
  return frame !== undefined && (frame.type === 'declaration' || DECLARATORS.has(frame.type));
}
