/** As a shell tells of a program that SIGPIPE ended. */
export const READER_GONE = 141;

/** Thrown by a command that ended in good order, all said, but with another exit status than 0. */
export class ExitStatus extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`exit status ${status}`);
    this.status = status;
  }
}
