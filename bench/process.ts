/** A contender's process: asked over stdin, one request at a time, answering on file descriptor 3. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type Contender, compiled, type Facts } from './case.js';
import type { Answer, Request, Round } from './worker.js';

/** Of what a process prints, the end is kept for its error. */
const KEPT_CHARACTERS = 4000;
/** A compiler may take minutes; a process that hangs ends the comparison for itself alone. */
const OPEN_MILLISECONDS = 15 * 60_000;
const ROUND_MILLISECONDS = 10 * 60_000;

/** How our contenders begin a line that is of interest while they run, such as why a GPU's work is not captured. */
export const NOTE = 'san-native: ';

function tellNote(line: string): void {
  if (line.startsWith(NOTE)) process.stderr.write(`${line}\n`);
}

export class ContenderProcess {
  private readonly child: ChildProcess;
  private printed = '';
  private readonly ended: Promise<string>;
  private readonly answers: AsyncIterator<string>;

  private constructor(contender: Contender, python: string | undefined) {
    const { command, args } = commandOf(contender, python);
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
    const keep = (text: string) => {
      this.printed = (this.printed + text).slice(-KEPT_CHARACTERS);
    };
    this.child.stdout?.setEncoding('utf8').on('data', keep);
    this.child.stderr?.setEncoding('utf8').on('data', keep);
    if (contender.ours && this.child.stderr)
      createInterface({ input: this.child.stderr }).on('line', tellNote);
    // A process that has ended is told of by `ended`.
    this.child.stdin?.on('error', () => {});
    this.ended = new Promise((resolve) => {
      this.child.once('error', (error) => resolve(error.message));
      this.child.once('close', (code, signal) => {
        const printed = this.printed.trim().split('\n').slice(-3).join(' ');
        resolve(`the process ended with ${signal ?? `status ${code}`}${printed && `: ${printed}`}`);
      });
    });
    this.answers = createInterface({ input: this.child.stdio[3] as Readable })[Symbol.asyncIterator]();
  }

  /** Starts the process and hands it its options. Throws what it says is wrong. */
  static async open(
    contender: Contender,
    python: string | undefined,
  ): Promise<{ process: ContenderProcess; facts: Facts }> {
    const process = new ContenderProcess(contender, python);
    try {
      const facts = (await process.ask({ open: contender.options }, OPEN_MILLISECONDS)) as Facts;
      return { process, facts };
    } catch (error) {
      process.kill();
      throw error;
    }
  }

  async round(items: number): Promise<Round> {
    const round = (await this.ask({ round: items }, ROUND_MILLISECONDS)) as Round;
    if (round?.seconds > 0 && round.items >= items) return round;
    throw new Error(`a round of ${items} was answered with ${JSON.stringify(round)}`);
  }

  /** Most memory that the process has held so far, in bytes; undefined where the system does not tell. */
  peakMemory(): number | undefined {
    try {
      const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8');
      const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
      return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
    } catch {
      return undefined;
    }
  }

  async close(): Promise<void> {
    await this.ask({ close: true }, ROUND_MILLISECONDS).catch(() => {});
    this.child.stdin?.end();
    const timer = setTimeout(() => this.kill(), 10_000);
    await this.ended;
    clearTimeout(timer);
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  private async ask(request: Request, milliseconds: number): Promise<unknown> {
    this.child.stdin?.write(`${JSON.stringify(request)}\n`);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`no answer in ${milliseconds / 60_000} minutes`)),
        milliseconds,
      );
    });
    try {
      const line = await Promise.race([this.answers.next(), late]);
      if (line.done) throw new Error(await this.ended);
      const answer = JSON.parse(line.value) as Answer;
      if ('error' in answer) throw new Error(answer.error);
      return answer.ok;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** What a contender measures when it is opened. */
export async function factsOf(contender: Contender): Promise<Facts> {
  const { process, facts } = await ContenderProcess.open(contender, undefined);
  await process.close();
  return facts;
}

function commandOf({ command, program }: Contender, python: string | undefined) {
  if (command === 'node') {
    return { command: process.execPath, args: [compiled('worker.js'), program] };
  }
  if (python === undefined) throw new Error('there is no Python with torch');
  return { command: python, args: [program] };
}
