--- Facts about the machine and this process, each under its own sys right: `--allow-sys=hostname,cpus,...`.

local _, core = ...

local sys = core.sys

return {
  hostname = sys.hostname,
  os_release = sys.os_release,
  loadavg = sys.loadavg,
  cpus = sys.cpus,
  memory = sys.memory,
  network_interfaces = sys.network_interfaces,
  uid = sys.uid,
  gid = sys.gid,
  homedir = sys.homedir,
  pid = sys.pid,
}
