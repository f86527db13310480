--- Shared memory: bytes that several processes have at once. All of it is C (core.shm); the objects' methods are described in
--- moonwire.Memory.
local _, core = ...

local door = core.shm

local shm = {
  create = door.create,
  open = door.open,
  unlink = door.unlink,
  ring = door.ring,
}

return shm
