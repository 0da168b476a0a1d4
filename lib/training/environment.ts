/** environment.json: on what a run was computed, for each session of it. */
import { readFile } from 'node:fs/promises';
import { arch, cpus, platform, release, totalmem } from 'node:os';
import { z } from 'zod';
import { OutputError } from '../errors.js';
import { fileErrorReason, writeFileAtomic } from '../files.js';
import type { AddonInfo } from '../native.js';
import { packageVersion } from '../version.js';

/** A run is one session, plus one for each time it is continued. */
export interface Session {
  /** When it began, in UTC (ISO 8601). */
  startedAt: string;
  /** Steps done before. */
  step: number;
  sanNative: string;
  /** Node.js, without its v. */
  node: string;
  platform: string;
  /** The operating system's kernel. */
  release: string;
  arch: string;
  cpu: { model: string; count: number };
  /** Bytes. */
  totalMemory: number;
  libtorch: { version: string; cuda: boolean; cpuCapability: string; threads: number };
  /** Absolute path of what was given, images in use, and SHA-256 of their shape and pixels in hexadecimal. */
  data: { path: string; images: number; hash: string };
  /** Program, script and arguments. */
  commandLine: string[];
}

/** Loose, so that what a later version tells besides is not lost when a session is added. */
const sessionSchema: z.ZodType<Session> = z.looseObject({
  startedAt: z.string(),
  step: z.number(),
  sanNative: z.string(),
  node: z.string(),
  platform: z.string(),
  release: z.string(),
  arch: z.string(),
  cpu: z.looseObject({ model: z.string(), count: z.number() }),
  totalMemory: z.number(),
  libtorch: z.looseObject({
    version: z.string(),
    cuda: z.boolean(),
    cpuCapability: z.string(),
    threads: z.number(),
  }),
  data: z.looseObject({ path: z.string(), images: z.number(), hash: z.string() }),
  commandLine: z.array(z.string()),
});

export interface SessionOptions {
  info: AddonInfo;
  data: Session['data'];
  /** Steps done before. */
  step: number;
  /** Threads that were asked for; default those of `info`. */
  threads?: number | undefined;
}

/** The session that begins now in this process. */
export async function describeSession({ info, data, step, threads }: SessionOptions): Promise<Session> {
  const { libtorch: version, cuda, cpuCapability } = info;
  const processors = cpus();
  return {
    startedAt: new Date().toISOString(),
    step,
    sanNative: await packageVersion(),
    node: process.versions.node,
    platform: platform(),
    release: release(),
    arch: arch(),
    cpu: { model: processors[0]?.model.trim() || 'unknown', count: processors.length },
    totalMemory: totalmem(),
    libtorch: { version, cuda: cuda.built, cpuCapability, threads: threads ?? info.threads },
    data,
    commandLine: process.argv,
  };
}

/**
 * Adds a session to the file `path`, which is made where it is missing, and gives all of them, oldest first. What a
 * stranger has spoiled is left out: it is a record, and no reason to refuse training. Throws OutputError.
 */
export async function recordSession(path: string, session: Session): Promise<Session[]> {
  const sessions = [...(await readSessions(path)), session];
  await writeFileAtomic(path, [`${JSON.stringify({ sessions }, null, 2)}\n`]);
  return sessions;
}

/** The whole sessions in the file `path`, oldest first; none where it is missing or spoiled. Throws OutputError. */
export async function readSessions(path: string): Promise<Session[]> {
  try {
    const content = JSON.parse(await readFile(path, 'utf8')) as { sessions?: unknown } | null;
    const sessions: unknown[] = Array.isArray(content?.sessions) ? content.sessions : [];
    return sessions.filter((found): found is Session => sessionSchema.safeParse(found).success);
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new OutputError(`cannot read ${path}: ${fileErrorReason(error)}`, { path }, { cause: error });
  }
}
