/** What a parser may take for up to 1 MiB of input. */

/** Of its heap, and of what lies outside of it. */
export const MEMORY_MIB = 256;

/** Of a processor. */
export const CALL_SECONDS = 1;
