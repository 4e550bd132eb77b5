// What HEALTHCHECK runs in the container: exit code 0 while Teal's store answers (docs/settings.md, health_port).
const url = `http://127.0.0.1:${process.env.TEAL_HEALTH_PORT}/health/ready`;
try {
  const response = await fetch(url);
  console.log((await response.text()).trim());
  process.exitCode = response.ok ? 0 : 1;
} catch (error) {
  console.log(`${url}: ${error.cause?.message ?? error.message}`);
  process.exitCode = 1;
}
