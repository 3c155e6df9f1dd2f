/** Preloaded into a program to show it another time; the program itself has no such switch. */
const offset = Number(process.env.DEMO_CLOCK_OFFSET) * 1000;
const RealDate = Date;
const now = () => RealDate.now() + offset;
globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(now());
    else super(...args);
  }
  static now() {
    return now();
  }
};
