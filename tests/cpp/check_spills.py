"""Checks that no hot loop of a kernel keeps vectors on the stack: what it works on must fit into the registers.

Loops are strongly connected parts of a function's control flow, as the disassembly shows it. One is hot if it holds no
other loop, handles vectors and calls nothing. The stack is known by the stack pointer, the frame pointer and every
register that holds an address computed from them. Faults are
  - a vector stored to the stack: a spill, or a local array that was not unrolled into registers;
  - where there are 32 registers, a vector read from it. With 16 a loop may have more constants than registers; one that
    stands on the stack is then a memory operand like one of .rodata, and no store stands behind it.
Scalars are left alone. ALLOWED lists the loops that may do it, with the reason.

Only objects compiled as users get them tell: flags of debug builds change which loops there are.

    check_spills.py --objdump OBJDUMP --kernels ISA OBJECT... [--kernels ...]
"""
import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

VECTOR = re.compile(r"%[xyz]mm\d")
ADDRESS = re.compile(r"\(([^)]*)\)")
PREFIXES = ("notrack", "bnd", "rep", "repz", "lock", "data16", "cs")
CALL_CLOBBERS = frozenset({"rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11"})
WIDE_NAME = {f"e{name}": f"r{name}" for name in ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp")}
WIDE_NAME |= {f"r{i}d": f"r{i}" for i in range(8, 16)}
SCALAR = re.compile(r"v?(u?comi|cvt\w+2)?\w*s[sd]|v?mov[dq]|v?p(extr|insr)[bwdq]")
MANY_REGISTERS = {"avx512", "avx512_bf16", "amx"}

# (instruction sets, function, reason). The functions are searched in demangled names without namespaces.
ALLOWED = [
    (".*", r"\bV1\b", "a buffer of one column; GCC vectorises the loop over its rows as it likes"),
    (".*", r"^softmax_forward\b|_columns[(<]", "16 columns stand in an array: the loops run over as many as there are"),
    ("baseline|avx2", r"^normal_group\b", "writes the numbers of a group to an array beside its constants"),
    (".*", r"^random_words\b", "writes its vectors to an array from which blocks are put in order"),
    (".*", r"^places_of_chunk\b", "every step is one for all rows of a chunk, which stand in arrays"),
    (".*", r"^dropout_bits\b", "the Philox rounds of several groups at once: latency counts, not loads of round keys"),
    (".*", r"^transpose_block\b", "a square of vectors and the one it becomes take all registers there are"),
    (".*", r"^element_loss\w*_in_blocks\b|^padded_row_loss<", "blocks, or one row, between two buffers on the stack"),
    (".*", r"^(element_block|row_loss)<.*(Focal|Tweedie|LogCosh|Smoothed)", "constants of powers and logarithms"),
    (".*", r"_loss_column<BinaryCrossentropyFromLogits<", "one dead store of GCC's beside 80 instructions"),
    (".*", r"^batch_norm_backward_strip<.*, Softplus>", "its factors and sums beside 30 instructions a vector"),
    ("baseline", r"^batch_norm_backward_strip<", "the same, and blends that take their mask from one register only"),
    (
        "baseline|avx2",
        r"^run_update<(Lion|Amsgrad|Nadam|Adamax|RmsPropOptions|Adagrad|Adadelta|Rprop|ScheduleFree)Rule<",
        "one loop for all penalties: its constants take most of 16 registers",
    ),
    ("avx2", r"^run_update<(Momentum|Nesterov)Rule<V>, \(Options\)4,", "any option, and two pairs of sums"),
    (
        "avx512",
        r"^run_update<(Adadelta|Amsgrad|Nadam|RAdam)Rule<V>, \(Options\)4, true, false, true>",
        "one loop for any option and for means of squares near the largest float",
    ),
    ("avx512", r"^forward_flat<TanhShrink", "two of the constants of both of its polynomials come from the stack"),
    (".*", r"^run_update<FtrlRule<", "two powers by logarithm and exponential function, with all their coefficients"),
    ("avx512_bf16|amx", r"^pack_edge_tile<", "an array fills the last rows and columns up with zeros"),
    ("avx512_bf16", r"BlockRegisters::add_rows<1ul, 2ul>", "one row: its chain of sums waits longer than moves do"),
]


@dataclass(frozen=True)
class Instruction:
    address: int
    mnemonic: str
    operands: tuple[str, ...]
    target: int | None  # where a jump goes, if that is a plain address

    @property
    def falls_through(self) -> bool:
        return not self.mnemonic.startswith(("jmp", "ret", "ud2", "hlt"))

    @property
    def moves_vector(self) -> bool:
        return any(VECTOR.search(operand) for operand in self.operands) and not SCALAR.fullmatch(self.mnemonic)

    @property
    def stores(self) -> bool:
        return bool(self.operands) and "(" in self.operands[-1]

    def addressed(self) -> set[str]:
        """Registers of its address, if it accesses memory."""
        parts = [match[1] for operand in self.operands if (match := ADDRESS.search(operand))]
        return {name for part in parts for name in re.findall(r"%(\w+)", part)}

    def written(self) -> str | None:
        """The general register that it writes, the last operand in AT&T order, by its 64-bit name."""
        if not self.operands or not re.fullmatch(r"%\w+", self.operands[-1]):
            return None
        name = self.operands[-1][1:]
        return WIDE_NAME.get(name, name)

    def __str__(self) -> str:
        return f"{self.mnemonic} {','.join(self.operands)}"


@dataclass
class Block:
    code: list[Instruction] = field(default_factory=list)
    successors: list[int] = field(default_factory=list)


def parse(line: str, relocated: bool) -> Instruction | None:
    row = re.match(r"\s+([0-9a-f]+):\t(.*)", line)
    if row is None:
        return None
    words = re.sub(r"\s*(#|<).*", "", row[2]).split()
    while words and words[0] in PREFIXES:
        words.pop(0)
    if not words:
        return None
    rest = " ".join(words[1:])
    plain = words[0].startswith("j") and not relocated and re.fullmatch(r"[0-9a-f]+", rest)
    operands = tuple(part.strip() for part in re.split(r",(?![^(]*\))", rest) if part)
    return Instruction(int(row[1], 16), words[0], operands, int(rest, 16) if plain else None)


def functions(text: str) -> Iterator[tuple[str, list[Instruction]]]:
    """Name and code of each function in what ``objdump -d -r -C --no-show-raw-insn`` prints."""
    name, code = "", []
    lines = text.splitlines()
    for i, line in enumerate(lines):
        if start := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            if code:
                yield name, code
            name, code = start[1], []
        elif instruction := parse(line, i + 1 < len(lines) and "R_X86_64_" in lines[i + 1]):
            code.append(instruction)
    if code:
        yield name, code


def blocks_of(code: list[Instruction]) -> list[Block]:
    """The control flow; jumps through a table and to other functions lead nowhere."""
    index = {instruction.address: i for i, instruction in enumerate(code)}
    starts = {0} | {index[instruction.target] for instruction in code if instruction.target in index}
    starts |= {i + 1 for i, instruction in enumerate(code[:-1]) if instruction.mnemonic.startswith("j")}
    starts |= {i + 1 for i, instruction in enumerate(code[:-1]) if not instruction.falls_through}
    begins = sorted(starts)
    number = {begin: i for i, begin in enumerate(begins)}
    blocks = []
    for begin, end in zip(begins, [*begins[1:], len(code)], strict=True):
        last = code[end - 1]
        successors = [number[index[last.target]]] if last.target in index else []
        if last.falls_through and end < len(code):
            successors.append(number[end])
        blocks.append(Block(code[begin:end], successors))
    return blocks


def components(nodes: set[int], edges: dict[int, list[int]]) -> list[set[int]]:
    """Strongly connected components that hold a cycle (Tarjan, without recursion)."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    found = []
    for root in nodes:
        if root in order:
            continue
        work = [(root, iter(edges[root]))]
        order[root] = low[root] = len(order)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, rest = work[-1]
            following = next((n for n in rest if n not in order or n in on_stack), None)
            if following is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == order[node]:
                    part = set(stack[stack.index(node):])
                    del stack[stack.index(node):]
                    on_stack -= part
                    if len(part) > 1 or node in edges[node]:
                        found.append(part)
            elif following in order:
                low[node] = min(low[node], order[following])
            else:
                order[following] = low[following] = len(order)
                stack.append(following)
                on_stack.add(following)
                work.append((following, iter(edges[following])))
    return found


def innermost_loops(blocks: list[Block]) -> list[set[int]]:
    """Loops that contain no other loop. Inner loops are found by removing the edges back to the entries of a loop."""
    edges = {i: list(block.successors) for i, block in enumerate(blocks)}
    innermost, pending = [], components(set(edges), edges)
    while pending:
        loop = pending.pop()
        entries = {n for i in set(edges) - loop for n in blocks[i].successors if n in loop} or {min(loop)}
        inner = {i: [n for n in blocks[i].successors if n in loop and n not in entries] for i in loop}
        if parts := components(loop, inner):
            pending += parts
        else:
            innermost.append(loop)
    return innermost


def step(instruction: Instruction, held: frozenset[str]) -> frozenset[str]:
    """The registers that hold a stack address after an instruction, from those that did before."""
    if instruction.mnemonic.startswith("call"):
        return held - CALL_CLOBBERS
    register = instruction.written()
    if register is None or register == "rsp" or instruction.mnemonic.startswith(("cmp", "test", "push", "j")):
        return held
    named = re.findall(r"%(\w+)", " ".join(instruction.operands[:-1]))
    sources = {WIDE_NAME.get(name, name) for name in named}
    if instruction.mnemonic.startswith("lea"):
        derived = bool(sources & held)
    elif instruction.mnemonic in ("mov", "movq"):
        derived = bool(sources & held) and not instruction.addressed()
    elif instruction.mnemonic.startswith(("add", "sub", "and")):
        derived = register in held or (bool(sources & held) and not instruction.addressed())
    elif instruction.mnemonic.startswith("cmov"):
        derived = register in held or bool(sources & held)
    else:
        derived = False
    return held | {register} if derived else held - {register}


def stack_registers(blocks: list[Block]) -> list[frozenset[str]]:
    """For each block the registers that may hold an address of the stack when it begins."""
    at: list[frozenset[str]] = [frozenset({"rsp"})] * len(blocks)
    pending = set(range(len(blocks)))
    while pending:
        i = pending.pop()
        held = at[i]
        for instruction in blocks[i].code:
            held = step(instruction, held)
        for n in blocks[i].successors:
            if not held <= at[n]:
                at[n] |= held
                pending.add(n)
    return at


def spills(code: list[Instruction]) -> Iterator[tuple[int, list[Instruction]]]:
    """Length of each hot loop, and its instructions that move vectors to or from the stack."""
    if not any(instruction.moves_vector for instruction in code):
        return
    blocks = blocks_of(code)
    at = stack_registers(blocks)
    for loop in innermost_loops(blocks):
        body = [instruction for i in sorted(loop) for instruction in blocks[i].code]
        if any(i.mnemonic.startswith("call") for i in body) or not any(i.moves_vector for i in body):
            continue
        found = []
        for i in sorted(loop):
            held = at[i]
            for instruction in blocks[i].code:
                if instruction.moves_vector and instruction.addressed() & held:
                    found.append(instruction)
                held = step(instruction, held)
        yield len(body), found


def short_name(name: str) -> str:
    """A demangled function without namespaces and return type."""
    bare = re.sub(r"\(anonymous namespace\)::|fastreg::\w+::|fastreg::", "", name)
    return re.sub(r"^\w+ (?=\w+<)", "", bare)


def is_fault(isa: str, name: str, found: list[Instruction]) -> bool:
    if not any(instruction.stores for instruction in found) and not (found and isa in MANY_REGISTERS):
        return False
    return not any(re.fullmatch(isas, isa) and re.search(function, name) for isas, function, _ in ALLOWED)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--objdump", required=True)
    parser.add_argument("--kernels", nargs="+", action="append", required=True, metavar=("ISA", "OBJECT"))
    options = parser.parse_args()

    loops, faults = 0, 0
    for isa, path in [(isa, path) for isa, *paths in options.kernels for path in paths]:
        command = [options.objdump, "-d", "-r", "-C", "--no-show-raw-insn", path]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for name, code in functions(text):
            for length, found in spills(code):
                loops += 1
                if is_fault(isa, short_name(name), found):
                    faults += 1
                    stores = sum(instruction.stores for instruction in found)
                    moves = f"{stores} stores to the stack and {len(found) - stores} loads from it"
                    where = f"the first at {found[0].address:x}: {found[0]}"
                    print(f"{isa}: {short_name(name)}: a loop of {length} instructions has {moves}, {where}")
    print(f"{loops} hot loops, {faults} with vectors on the stack")
    return 1 if faults or not loops else 0


if __name__ == "__main__":
    sys.exit(main())
