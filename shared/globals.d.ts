// All that the pure rooms may use of the platform beyond the language itself. Only
// tsconfig.pure.json reads this file: everywhere else the platform's own types say it.

declare class TextEncoder {
  encode(input?: string): Uint8Array<ArrayBuffer>;
}

declare class TextDecoder {
  constructor(label?: 'utf-8', options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(input?: Uint8Array): string;
}
