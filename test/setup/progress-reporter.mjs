// A vitest reporter beside the default one: when nothing was printed for a while, it says what still runs.
const QUIET_MS = 15_000;

export default class ProgressReporter {
  #since = Date.now();
  #now = '';
  #timer = null;

  onTestRunStart() {
    this.#timer = setInterval(() => this.#tell(), QUIET_MS);
    this.#timer.unref();
  }

  onTestModuleStart(module) {
    this.#begin(module.relativeModuleId ?? module.moduleId);
  }

  onTestCaseReady(test) {
    this.#begin(`${test.module.relativeModuleId ?? test.module.moduleId} > ${test.fullName}`);
  }

  onHookStart({ name, entity }) {
    this.#begin(`${(entity.module ?? entity).relativeModuleId ?? ''} ${name}`);
  }

  onTestRunEnd() {
    clearInterval(this.#timer);
  }

  #begin(what) {
    this.#now = what;
    this.#since = Date.now();
  }

  #tell() {
    const seconds = Math.round((Date.now() - this.#since) / 1000);
    if (this.#now !== '' && seconds >= QUIET_MS / 1000)
      console.log(`   … ${seconds} s: ${this.#now.replace(/[^\x20-\x7e>·…]/g, ' ')}`);
  }
}
