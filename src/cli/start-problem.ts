/** What keeps the relay from starting, in words: errors of our own have them, those of the system are put into some. */
export function startProblem(error: Error, dataDir: string): string {
  if (!('code' in error)) return error.message;
  const path = 'path' in error ? String(error.path) : dataDir;
  switch (error.code) {
    case 'EACCES':
    case 'EPERM':
      return `${path} may not be read and written by this user; run Teal as its owner, or choose another data_dir`;
    case 'EROFS':
      return `${path} is on a disk that can only be read; choose another data_dir`;
    case 'ENOTDIR':
    case 'EEXIST':
      return `there is a file in the way of the directory that ${path} needs; choose another data_dir`;
    case 'ENOSPC':
    case 'EDQUOT':
      return `the disk has no room left for ${path}`;
    case 'ERR_SQLITE_ERROR':
      return `${dataDir}: ${error.message}`;
    default:
      return error.message;
  }
}
