--- Certificate authorities for specs, made on the spot by the program `openssl`. Knows: mw.
local mw = require "moonwire"

local ca = {}
ca.__index = ca

local CONFIG = [[
[ca]
default_ca = it
[it]
dir = %s
database = $dir/index.txt
serial = $dir/serial
crlnumber = $dir/crlnumber
new_certs_dir = $dir
certificate = $dir/ca.pem
private_key = $dir/ca.key
default_md = sha256
default_days = 30
default_crl_days = 30
policy = any
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
organizationName = optional
[req]
distinguished_name = none
[none]
[v3_ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
]]

local function openssl(...)
  local args = { "openssl", ... }
  args.check, args.timeout = true, 30
  return mw.process.run(args)
end

--- A new authority in its own folder.
---@param name? string
function ca.new(name)
  local temp = assert(mw.fs.tempdir())
  local self = setmetatable({ temp = temp, dir = temp.path, count = 0 }, ca)
  local config = self.dir .. "/ca.cnf"
  self.config = config
  mw.fs.write(config, CONFIG:format(self.dir))
  mw.fs.write(self.dir .. "/index.txt", "")
  mw.fs.write(self.dir .. "/serial", "1000\n")
  mw.fs.write(self.dir .. "/crlnumber", "01\n")
  openssl("req", "-x509", "-config", config, "-extensions", "v3_ca", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
    "-keyout", self.dir .. "/ca.key", "-out", self.dir .. "/ca.pem", "-days", "30", "-subj", "/CN=" .. (name or "Spec CA"))
  self.pem = self.dir .. "/ca.pem"
  return self
end

--- A certificate and its key: { cert = path, key = path }.
---@param name string  the subject's CN
---@param o? { sans?: string, from?: string, to?: string, use?: string }  from, to: YYMMDDHHMMSSZ
function ca:issue(name, o)
  o = o or {}
  self.count = self.count + 1
  local base = ("%s/%d"):format(self.dir, self.count)
  local sans = o.sans or "DNS:localhost,IP:127.0.0.1"
  mw.fs.write(base .. ".ext",
    ("subjectAltName=%s\nbasicConstraints=CA:FALSE\n%s"):format(sans, o.use and "extendedKeyUsage=" .. o.use .. "\n" or ""))
  openssl("req", "-new", "-config", self.config, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
    "-keyout", base .. ".key", "-out", base .. ".csr", "-subj", "/CN=" .. name)
  local args = { "openssl", "ca", "-batch", "-notext", "-config", self.config, "-in", base .. ".csr", "-out", base .. ".pem",
    "-extfile", base .. ".ext", check = true, timeout = 30 }
  if o.from then table.move({ "-startdate", o.from }, 1, 2, #args + 1, args) end
  if o.to then table.move({ "-enddate", o.to }, 1, 2, #args + 1, args) end
  mw.process.run(args)
  return { cert = base .. ".pem", key = base .. ".key" }
end

--- The authority's certificate and its list of revoked ones, with `it` on it: PEM text.
function ca:revoke(it)
  openssl("ca", "-config", self.config, "-revoke", it.cert)
  openssl("ca", "-config", self.config, "-gencrl", "-out", self.dir .. "/crl.pem")
  return mw.fs.read(self.pem) .. mw.fs.read(self.dir .. "/crl.pem")
end

function ca:close()
  self.temp:close()
end

return ca
