/** A port of the web that serves until it is disposed of. */
export interface Listener extends AsyncDisposable {
  /** The port bound, also when 0 was asked for. */
  readonly port: number;
}
