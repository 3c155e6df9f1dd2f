/** Addresses of PCI functions; the client reads them too. */

export { isBdf, parseBdf } from '../../shared/manifest/bdf.ts';
