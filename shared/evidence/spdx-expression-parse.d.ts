/** What is used of a package without types. */
declare module 'spdx-expression-parse' {
  /** A tree of licences; throws an Error on what is no expression. */
  export default function parse(source: string): object;
}
