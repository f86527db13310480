--- The reference, from the annotations that stand in the source: `.doc` of the prompt, signatures for completion, the web pages and
--- the man page ask here. Public names have no `mw.` in front: "process.run", "stream:read", "moonwire.Stream", "ETIMEDOUT".
--- Knows: core.doc (the texts), moonwire.doc_parse, moonwire.doc_types, moonwire.doc_render. Never: what values are at run time.
local _, core = ...
local parse, types = core.module "moonwire.doc_parse", core.module "moonwire.doc_types"

local match, sub, gsub, lower, find = string.match, string.sub, string.gsub, string.lower, string.find
local sort, concat = table.sort, table.concat

---@class moonwire.doc
local doc = {}

---@class moonwire.doc.Entry
---@field name string     "process.run", "stream:read", "process", "moonwire.Stream", "ETIMEDOUT"
---@field shown string    as a script writes it: "mw.process.run"; of a method "stream:read"
---@field kind "module"|"function"|"method"|"field"|"class"|"alias"|"code"
---@field text string     paragraphs, lists and code, in Markdown
---@field class? string   what it is a member of
---@field type? string    of a field
---@field optional? boolean
---@field params? moonwire.doc.Param[]
---@field returns? moonwire.doc.Param[]
---@field options? { param: string, class: string, fields: moonwire.doc.Param[] }[]  tables of options that it takes, field by field
---@field fields? moonwire.doc.Param[]   of a class: what is no function
---@field members? moonwire.doc.Entry[]  of a module or a class: functions and methods
---@field parts? moonwire.doc.Entry[]    of `mw` itself: the modules
---@field about? string                  of a module: in a few words
---@field parents? string[]
---@field taken_by? string[]             of a class or an alias: functions that take it, by their names
---@field given_by? string[]             functions that give it
---@field part_of? string[]              classes that have a field of it
---@field values? { value: string, text: string }[]  of an alias
---@field file string
---@field line integer

-- Words for one thing ------------------------------------------------------------------------------------------------------

--- Short names that people give to objects: `child:wait` is looked up as `process:wait`.
local spoken = {
  child = "process", conn = "stream", srv = "listener", ch = "channel", conns = "connection_pool", sup = "supervisor",
  sem = "semaphore", ev = "event", w = "worker", dir = "temp_dir", ["error"] = "err",
}

--- "moonwire.TaskChannel", "task channel" -> "task_channel"; "mw.host.handler" -> "host_handler".
local function word_of(name)
  local short = gsub(gsub(name, "^moonwire%.", ""), "^mw%.", "")
  short = gsub(short, "(%l)(%u)", "%1_%2")
  return lower((gsub(short, "[ .]", "_")))
end

local function is_inner(name)
  return find(name, "^moonwire%.core%.") or find(name, "^moonwire%.doc%f[%W]") or find(name, "^moonwire%.repl%f[%W]")
    or name == "moonwire.Session" or not find(name, "^moonwire")
end

-- What there is -----------------------------------------------------------------------------------------------------------------

local found, entries, by_name, by_word

local function text_of(t)
  return t and t.text or ""
end

--- A field that is a function of the object itself, by its type or by that of an alias, is a method: what methods share is said once.
local function as_method(field)
  local alias = found.aliases[field.type]
  local params, returns = types.fun(alias and alias.type or field.type)
  if not params or not params[1] or params[1].name ~= "self" then return end
  table.remove(params, 1)
  field.kind, field.params, field.returns = "method", params, returns
  if alias then field.text = field.text .. "\n\n" .. alias.text end
end

local function name_methods()
  for _, class in pairs(found.classes) do
    for _, field in ipairs(class.fields) do
      if field.kind == "field" then as_method(field) end
    end
  end
end

--- The fields of a class and of those that it extends, its own first; private ones are nobody's.
local function fields_of(name, seen, list)
  seen, list = seen or {}, list or {}
  local class = found.classes[name]
  if not class or seen[name] then return list end
  seen[name] = true
  for _, field in ipairs(class.fields) do
    if not field.private and not seen["." .. field.name] then
      seen["." .. field.name] = true
      list[#list + 1] = field
    end
  end
  for _, parent in ipairs(class.parents) do fields_of(parent, seen, list) end
  return list
end

--- Tables of options among the parameters: classes without methods, and table types.
local function options_of(params)
  local list = {}
  for _, param in ipairs(params or {}) do
    for _, name in ipairs(types.names(param.type)) do
      local class = found.classes[name]
      local fields = class and not is_inner(name) and fields_of(name)
      local plain = fields and #fields > 0
      for _, field in ipairs(fields or {}) do plain = plain and field.kind ~= "method" end
      if plain and not find(param.type, "fun(", 1, true) then list[#list + 1] = { param = param.name, class = name, fields = fields } end
    end
  end
  return #list > 0 and list or nil
end

local function add(entry)
  entries[#entries + 1] = entry
  by_name[entry.name] = by_name[entry.name] or entry
  local key = lower(entry.name)
  by_name[key] = by_name[key] or entry
  return entry
end

local function member_entry(owner, sign, member, shown)
  local name = owner == "" and member.name or owner .. sign .. member.name
  return {
    name = name, shown = (shown or "") .. name, kind = member.kind, text = member.text, type = member.type,
    optional = member.optional, params = member.params, returns = member.returns, file = member.file, line = member.line,
    options = options_of(member.params),
  }
end

--- A module, `mw.NAME`, and its functions.
local function add_module(name, class_name, about)
  local class = found.classes[class_name]
  local entry = add {
    name = name, shown = "mw." .. name, kind = "module", class = class_name, text = class.text ~= "" and class.text or about,
    about = about, members = {}, fields = {}, parents = class.parents, file = class.file, line = class.line,
  }
  local call = class.calls[1]
  if call then
    entry.params, entry.returns, entry.options = call.params, call.returns, options_of(call.params)
  end
  for _, member in ipairs(fields_of(class_name)) do
    local it = member_entry(name, ".", member, "mw.")
    it.class = class_name
    if member.kind == "field" then entry.fields[#entry.fields + 1] = member end
    if sub(member.name, 1, 1) ~= "[" then entry.members[#entry.members + 1] = add(it) end
  end
  return entry
end

local function add_class(name)
  local class = found.classes[name]
  local word = word_of(name)
  local entry = add {
    name = name, shown = gsub(name, "^moonwire%.", ""), kind = "class", class = name, text = class.text, members = {}, fields = {},
    parents = class.parents, file = class.file, line = class.line, word = word,
  }
  by_word[word] = entry
  for _, member in ipairs(class.fields) do
    if not member.private then
      if member.kind == "field" then
        entry.fields[#entry.fields + 1] = member
      elseif member.name ~= "__call" then
        local it = member_entry(word, member.kind == "method" and ":" or ".", member)
        it.class = name
        entry.members[#entry.members + 1] = add(it)
      end
    end
  end
end

local function add_alias(alias)
  add { name = alias.name, shown = gsub(alias.name, "^moonwire%.", ""), kind = "alias", type = alias.type, text = alias.text,
    values = alias.values, file = "", line = 0 }
  if alias.name ~= "moonwire.Code" then return end
  for _, it in ipairs(alias.values) do
    local code = match(it.value, '^"(.*)"$')
    add { name = code, shown = code, kind = "code", text = it.text, file = "", line = 0 }
  end
end

--- Tells each class and alias which functions take it and give it, and whose fields have it.
local function cross()
  local function note(type, how, who, own)
    for _, name in ipairs(types.names(type or "")) do
      local it = find(name, "^moonwire%.") and by_name[name]
      if it and it.kind ~= "module" and name ~= own then
        it[how] = it[how] or {}
        local list = it[how]
        if list[#list] ~= who then list[#list + 1] = who end
      end
    end
  end
  for _, entry in ipairs(entries) do
    for _, it in ipairs(entry.params or {}) do note(it.type, "taken_by", entry.name, entry.class) end
    for _, it in ipairs(entry.returns or {}) do note(it.type, "given_by", entry.name, entry.class) end
    if entry.kind == "class" then
      for _, it in ipairs(entry.fields) do note(it.type, "part_of", entry.name, entry.class) end
    end
  end
end

local function sorted(t)
  local names = {}
  for name in pairs(t) do names[#names + 1] = name end
  sort(names)
  return names
end

--- Reads everything, once: some 25 ms and 2 MiB.
local function build()
  if found then return end
  found, entries, by_name, by_word = parse.new(), {}, {}, {}
  for _, it in ipairs(core.doc.texts()) do parse.file(it.text, it.file, found) end
  name_methods()
  local root = found.classes.moonwire
  local top = add { name = "moonwire", shown = "mw", kind = "module", class = "moonwire", text = root.text, members = {}, fields = {},
    parts = {}, parents = {}, file = root.file, line = root.line }
  local modules = { moonwire = true }
  for _, member in ipairs(root.fields) do
    if member.kind == "field" and found.classes[member.type] then
      modules[member.type] = true
      top.parts[#top.parts + 1] = add_module(member.name, member.type, member.text)
    else
      local it = member_entry("", "", member, "mw.")
      it.class = "moonwire"
      if member.kind == "field" then top.fields[#top.fields + 1] = member end
      top.members[#top.members + 1] = add(it)
    end
  end
  local own = found.classes._G
  for _, member in ipairs(own and own.fields or {}) do add(member_entry("", "", member)) end
  for _, name in ipairs(sorted(found.classes)) do
    if not modules[name] and not is_inner(name) then add_class(name) end
  end
  for _, name in ipairs(sorted(found.aliases)) do
    if not is_inner(name) then add_alias(found.aliases[name]) end
  end
  cross()
end

-- Asking --------------------------------------------------------------------------------------------------------------------------

--- What is known of `name`: "process.run", "mw.process.run", "stream:read", "child:wait", "moonwire.Stream", "Stream", "EFRAME".
---@param name string
---@return moonwire.doc.Entry? entry
function doc.lookup(name)
  build()
  name = match(name, "^%s*(.-)[%s(){}]*$")
  if name == "mw" then name = "moonwire" end
  local short = gsub(name, "^mw%.", "")
  local entry = by_name[short] or by_name["moonwire." .. short] or by_name[lower(short)] or by_name[lower("moonwire." .. short)]
  if entry then return entry end
  local object, sign, member = match(short, "^(.-)([.:])([%w_]+)$")
  if object then
    local class = by_word[word_of(object)] or by_word[spoken[lower(object)]]
    local it = class
    local waiting, seen = {}, {}
    while it do -- its own, then what it extends
      for _, m in ipairs(it.members) do
        if lower(m.name) == lower(it.word .. sign .. member) or lower(m.name) == lower(it.word .. ":" .. member) then return m end
      end
      for _, field in ipairs(sign == "." and it.fields or {}) do
        if field.name == member then
          local entry_of = member_entry(it.word, ".", field)
          entry_of.class = it.name
          return entry_of
        end
      end
      for _, parent in ipairs(it.parents) do
        if not seen[parent] then
          seen[parent] = true
          waiting[#waiting + 1] = by_name[parent]
        end
      end
      it = table.remove(waiting, 1)
    end
    return nil
  end
  return by_word[word_of(short)] or by_word[spoken[lower(short)]]
end

--- Entries that have every word of `text` in their name or their text; those that have it in their name come first.
---@param text string
---@param most? integer  so many at most; 20
---@return moonwire.doc.Entry[]
function doc.search(text, most)
  build()
  local words = {}
  for word in string.gmatch(lower(text), "%S+") do words[#words + 1] = gsub(word, "^mw%.", "") end
  local hits = {}
  for i, entry in ipairs(entries) do
    local name, about, score = lower(entry.name), lower(entry.text), 0
    for _, word in ipairs(words) do
      local at, last = find(name, word, 1, true)
      if at then
        score = score + (last == #name and 8 or 4)
      elseif find(about, word, 1, true) then
        score = score + 1
      else
        score = nil
        break
      end
    end
    if score and score > 0 then hits[#hits + 1] = { entry = entry, score = score, i = i } end
  end
  sort(hits, function(a, b)
    if a.score ~= b.score then return a.score > b.score end
    return a.i < b.i
  end)
  local list = {}
  for i = 1, math.min(#hits, most or 20) do list[i] = hits[i].entry end
  return list
end

local function short_type(type)
  return (gsub(type or "any", "moonwire%.", ""))
end

local function result_word(it)
  local word = it.name and it.name ~= "..." and it.name or short_type(it.type)
  if it.name == "..." then return "..." end
  if sub(word, -1) ~= "?" and find(it.type, "%?$") then word = word .. "?" end
  return word
end

--- One line that tells how it is called: "process.run(options) -> result?, err?".
---@param name string|moonwire.doc.Entry
---@param bare? boolean  without what stands before the last dot: "run(options) -> ..."
---@return string?
function doc.signature(name, bare)
  local entry = type(name) == "table" and name or doc.lookup(name)
  if not entry then return nil end
  local shown = bare and match(entry.shown, "([^.:]+)$") or entry.shown
  if not entry.params then
    if entry.kind == "field" then return shown .. ": " .. short_type(entry.type) .. (entry.optional and "?" or "") end
    return shown
  end
  local params, results = {}, {}
  for i, it in ipairs(entry.params) do params[i] = it.name .. (it.optional and "?" or "") end
  for i, it in ipairs(entry.returns) do results[i] = result_word(it) end
  local line = shown .. "(" .. concat(params, ", ") .. ")"
  if #results > 0 then line = line .. " -> " .. concat(results, ", ") end
  return line
end

--- The first sentence of what is said of it.
---@param entry moonwire.doc.Entry
---@return string
function doc.brief(entry)
  local text = gsub(match(text_of(entry), "^(.-)\n\n") or text_of(entry), "%s*\n%s*", " ")
  text = match(text, "^(.-)%s*```") or text
  return match(text, "^(.-[^.]%.)%s") or match(text, "^(.-:)%s+%u") or text
end

--- All there is: modules with their functions, classes with their methods, aliases, error codes.
---@return moonwire.doc.Entry[]
function doc.all()
  build()
  return entries
end

--- The classes of objects, by whatever name: "mw.stream" (an object's `__name`), "moonwire.Stream", "stream". Each has `members`
--- (entries of its methods) and `fields`; those that it extends are in `parents`.
---@return table<string, moonwire.doc.Entry>
function doc.classes()
  build()
  return setmetatable({}, {
    __index = function(_, name)
      return type(name) == "string" and by_word[word_of(name)] or nil
    end,
    __pairs = function()
      return next, by_word, nil
    end,
  })
end

--- The fields and methods of a class, with what it extends; what is private is left out.
---@param name string
---@return moonwire.doc.Member[]
function doc.fields(name)
  build()
  return fields_of(name)
end

--- What does not fit together in the annotations, and everything that was read; for the specs.
---@return string[] problems
---@return moonwire.doc.Found found
function doc.problems()
  build()
  return found.problems, found
end

--- As text for a terminal of `width` columns.
---@param entry moonwire.doc.Entry
---@param width? integer  80; at least 40
---@param options? { colour?: boolean }  colour: escape codes
---@return string
function doc.render(entry, width, options)
  return core.module("moonwire.doc_render").entry(doc, entry, width or 80, options or {})
end

return doc
