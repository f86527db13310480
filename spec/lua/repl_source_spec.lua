--- Lua text as the prompt cuts it: tokens, and the statements that declare local variables.
local source = require "moonwire.repl_source"

local function texts(text)
  local out = {}
  for i, t in ipairs(source.tokens(text)) do out[i] = t.text end
  return out
end

local function names(text)
  local out = {}
  for _, piece in ipairs((source.pieces(text))) do
    if piece.kind == "local" then out[#out + 1] = table.concat(piece.names, ",") end
  end
  return table.concat(out, " ")
end

describe("the tokens of a text", function()
  it("are words, numbers, strings and signs, without space and comments", function()
    assert.same({ "local", "a", "=", "b", "..", '"c"', "--[[d"}, texts('local a=b.."c" -- e\n--[[d'))
    assert.same({ "a", "//", "b", "<<", "1", "...", ">=", "~=", "::", "x", "::" }, texts("a//b<<1 ...>=~=::x::"))
    assert.same({ "1", "0x1p4", "3.5e-3", ".5", "1e+2", "0xA.8p-1", "3" }, texts("1 0x1p4 3.5e-3 .5 1e+2 0xA.8p-1 3"))
    assert.same({ "a", "[", "b", "]", "[[c]]", "[==[d]]]==]" }, texts("a[b] [[c]] [==[d]]]==]"))
    assert.same({ '"a\\"b"', "'c\\\\'", "x" }, texts([==["a\"b" 'c\\' --[=[ y ]] ]=] x]==]))
  end)

  it("end where a line cuts them off", function()
    local t = source.tokens('"abc\nx')
    assert.equal("bad", t[1].kind)
    assert.equal('"abc', t[1].text)
    assert.equal("x", t[2].text)
    assert.is_true(source.cut_string('x = "abc'))
    assert.is_false(source.cut_string('x = "abc\\'))
    assert.is_false(source.cut_string('x = "abc\\z '))
    assert.is_false(source.cut_string("x = [[abc"))
    assert.is_true(source.empty("  -- a\n --[[b]] "))
    assert.is_false(source.empty("--[[b"))
  end)
end)

describe("the pieces of a text", function()
  it("are its top-level locals, each by itself, and what stands between", function()
    assert.equal("a b,c f d", names("local a = 1 x = a local b, c = f(a) local function f() end local d"))
    assert.equal("", names("do local a end for i = 1, 2 do local b end function f() local c end if a then local d else local e end"))
    assert.equal("z", names("while f(function() local q end) do local w end repeat local r until function() local s end local z"))
    assert.equal("a b", names("local a <const> = 1; local b <close> = nil"))
  end)

  it("keep their lines", function()
    local pieces = source.pieces("x = 1\n\nlocal a = {\n}\n--[[\n]] y = a")
    assert.same({ 0, 2, 5 }, { pieces[1].line, pieces[2].line, pieces[3].line })
    assert.equal("local a = {\n}", pieces[2].text)
  end)

  it("stay one when there is a label at the top", function()
    local pieces, labelled = source.pieces("::top:: local a = 1 goto top")
    assert.equal(1, #pieces)
    assert.is_true(labelled)
    pieces, labelled = source.pieces("for i = 1, 2 do goto on ::on:: end local a")
    assert.equal(2, #pieces)
    assert.is_nil(labelled)
  end)
end)

-- Random programs: what is cut into pieces must still compile, piece by piece, and mean the same. ---------------------------

local function generator(seed)
  local state = seed
  local function random(n)
    state = (state * 6364136223846793005 + 1442695040888963407)
    return (state >> 33) % n + 1
  end
  local function pick(list) return list[random(#list)] end
  local expression, block
  local function args(depth)
    local out = {}
    for i = 1, random(3) - 1 do out[i] = expression(depth - 1) end
    return table.concat(out, ", ")
  end
  local function prefix(depth)
    if depth <= 0 or random(3) > 1 then return pick { "a", "b", "t", "f" } end
    return pick { "(" .. expression(depth - 1) .. ")", "t[" .. expression(depth - 1) .. "]", "t.x", "f(" .. args(depth) .. ")",
      "f{" .. args(depth) .. "}", 'f"end"', "f[[local x]]", "t:m(" .. args(depth) .. ")" }
  end
  function expression(depth)
    if depth <= 0 then
      return pick { "1", "nil", "true", '"local"', "'end'", "[[function]]", "[==[ ]] ]==]", "0x1F", "1e-3", "a", "b", "...", "{}",
        '"\\"do"' }
    end
    local kind = random(9)
    if kind == 1 then
      return expression(depth - 1) .. pick { " + ", "..", " == ", " and ", " or ", "//", " << ", "~=", "^" } .. expression(depth - 1)
    end
    if kind == 2 then return pick { "-", "not ", "#", "~", "- -" } .. expression(depth - 1) end
    if kind == 3 then return "function(" .. pick { "", "a", "...", "a, b" } .. ") " .. block(depth - 1) .. " end" end
    if kind == 4 then return "{ " .. args(depth) .. pick { " ", "; x = " .. expression(depth - 1) .. " ", ", [1] = 2 " } .. "}" end
    if kind == 5 then return "(" .. expression(depth - 1) .. ")" end
    return prefix(depth)
  end
  local function statement(depth)
    local e = function() return (expression(depth - 1):gsub("%.%.%.", depth == 3 and "..." or "nil")) end
    local kind = random(14)
    if kind <= 3 then
      return "local " .. pick { "a", "b, t", "a <const>", "f", "t <close>" } .. pick { "", " = " .. e(), " = " .. e() .. ", " .. e() }
    end
    if kind == 4 then return "local function f(" .. pick { "", "a" } .. ") " .. block(depth - 1) .. " end" end
    if kind == 5 then return "x = " .. e() end
    if kind == 6 then return "f(" .. e() .. ")" end
    if kind == 7 then
      return "if " .. e() .. " then " .. block(depth - 1) .. pick { "", " else " .. block(depth - 1), " elseif a then local z" } .. " end"
    end
    if kind == 8 then return "while " .. e() .. " do " .. block(depth - 1) .. " end" end
    if kind == 9 then return "repeat " .. block(depth - 1) .. " until " .. e() end
    if kind == 10 then return "for i = 1, 2 do " .. block(depth - 1) .. " end" end
    if kind == 11 then return "function t.x() " .. block(depth - 1) .. " end" end
    if kind == 12 then return "do " .. block(depth - 1) .. " end" end
    if kind == 13 then return "-- local comment\n" end
    return pick { ";", "--[[ local\n ]]", "t.x, t.y = 1, 2", "--[==[ end ]] ]==]" }
  end
  function block(depth)
    if depth <= 0 then return pick { "", "local a", "x = 1", "local a = 1 local b = a" } end
    local out = {}
    for i = 1, random(3) do out[i] = statement(depth) end
    return table.concat(out, pick { " ", "\n", " ; " })
  end
  return function()
    local out = {}
    for i = 1, random(6) do out[i] = statement(3) end
    return table.concat(out, pick { "\n", " ", " ; ", "\n\n" })
  end, random
end

describe("random programs", function()
  it("are cut into pieces that are programs, of all the text, with all the locals of its top level", function()
    local generate = generator(20261122)
    local whole, locals = 0, 0
    for _ = 1, 1000 do
      local text = generate()
      if load(text, "=x") then
        whole = whole + 1
        local code = {}
        for _, piece in ipairs((source.pieces(text))) do
          local f, why = load(piece.text, "=piece")
          assert.is_truthy(f, ("%s\nin: %s\nof: %s"):format(why, piece.text, text))
          if piece.kind == "local" then
            locals = locals + 1
            assert.is_truthy(load(piece.text .. "\nreturn " .. table.concat(piece.names, ","), "=named"), piece.text)
          else
            code[#code + 1] = piece.text
          end
          local _, newlines = text:gsub("\n", "")
          assert.is_true(piece.line <= newlines)
        end
        for _, piece in ipairs((source.pieces(table.concat(code, "\n")))) do assert.equal("code", piece.kind, text) end
      end
    end
    assert.is_true(whole > 200 and locals > 300, whole .. " programs, " .. locals .. " locals")
  end)

  it("do not break the tokenizer when they are cut anywhere", function()
    local generate, random = generator(7)
    for _ = 1, 500 do
      local text = generate()
      local part = text:sub(random(#text + 1), random(#text + 1))
      local tokens, at = source.tokens(part), 0
      for _, t in ipairs(tokens) do
        assert.is_true(t.from > at and t.to >= t.from, part)
        assert.equal(t.text, part:sub(t.from, t.to))
        at = t.to
      end
      source.pieces(part)
      source.cut_string(part)
    end
    for _ = 1, 500 do
      local bytes = {}
      for i = 1, random(40) do bytes[i] = string.char(random(256) - 1) end
      local text = table.concat(bytes)
      source.pieces(text)
      source.empty(text)
    end
  end)
end)
