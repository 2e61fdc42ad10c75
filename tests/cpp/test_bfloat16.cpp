// Products of bfloat16 numbers: packing and sums against an own rounding and sums in double precision, for every unit
// of this processor and for the portable forms; a unit and its portable form have the same bits.
#include <cfenv>
#include <string>

#include "cpu/simd/denormals.h"
#include "kernel_buffers.h"

namespace {

using namespace fastreg;
using namespace fastreg::test;

// The nearest bfloat16 with ties to even, in double precision; a number below the normal ones is 0.
double nearest(double a) {
  if (!std::isfinite(a) || a == 0.0) return a;
  int exponent;
  const double fraction = std::frexp(a, &exponent);   // in [1/2, 1)
  if (exponent < -125) return std::copysign(0.0, a);
  const double value = std::ldexp(std::nearbyint(std::ldexp(fraction, 8)), exponent - 8);
  return std::abs(value) > 3.4e38 ? std::copysign(HUGE_VAL, a) : value;
}
double second(double a) { return std::isinf(nearest(a)) ? 0.0 : nearest(a - nearest(a)); }

double value_of(std::uint16_t number) {
  const std::uint32_t bits = static_cast<std::uint32_t>(number) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

struct Packed {
  Guarded<std::uint16_t> tiles;
  Packed(const Bfloat16Products& p, bool left, const PackSource& source, std::size_t n, std::size_t k,
         std::size_t terms)
      : tiles(2 * packed_floats(n, k, terms)) {
    for (std::size_t i = 0; i < tiles.size(); ++i) tiles[i] = 0x7fc0;   // NaN: all that counts must be written
    const std::size_t groups = tile_groups(n);
    for (const Range part : {Range{groups / 2, groups}, Range{0, groups / 2}})   // in two parts
      (left ? p.pack_left : p.pack_right)({source, tiles.data(), terms, part});
    CHECK(tiles.guards_intact());
  }
};

// A source (rows, cols) of each kind, with the numbers that `at` returns.
struct Source {
  Rows matrix;
  Panels panels;
  bool in_panels;
  Source(std::size_t rows, std::size_t cols, bool panelled)
      : matrix(rows, cols), panels(rows, cols), in_panels(panelled) {}
  float& at(std::size_t i, std::size_t j) { return in_panels ? panels.data[panels.index(i, j)] : matrix.at(i, j); }
  PackSource source(bool transposed) const {
    if (in_panels) return {panels.data.data(), Stored::panels, 0, panels.rows, panels.cols, transposed};
    return {matrix.data.data(), Stored::rows, matrix.stride, matrix.rows, matrix.cols, transposed};
  }
};

// Every number of a packed operand, including the zeros around the matrix that must be there.
void test_packing(const Bfloat16Products& p, std::size_t n, std::size_t k, bool left, bool panelled, bool transposed,
                  std::size_t terms) {
  check::context = std::string(p.unit) + text(" packs", {n, k, left, panelled, transposed, terms});
  const bool by_rows = left != transposed;   // the rows of the source are those of n
  Source source(by_rows ? n : k, by_rows ? k : n, panelled);
  const float special[] = {0.0f, -0.0f, 1e-40f, -1e-40f, 1.17549435e-38f, 3.4028234e38f, -3.4028234e38f, 1.00390625f,
                           1.01171875f, -1.00390625f, 1.0000001f, std::nanf(""), HUGE_VALF, -HUGE_VALF};
  for (std::size_t e = 0; e < std::size(special) && e < k; ++e) {
    const std::size_t i = e * 7 % n;
    (by_rows ? source.at(i, e) : source.at(e, i)) = special[e];
  }
  const Packed packed(p, left, source.source(transposed), n, k, terms);
  const std::size_t depth = tiles_of_depth(k);
  const std::size_t written = left && !transposed ? n : tile_groups(n) * kTileGroup;
  for (std::size_t i = 0; i < written; ++i) {
    for (std::size_t j = 0; j < depth * kTileDepth; ++j) {
      const double exact = i < n && j < k ? (by_rows ? source.at(i, j) : source.at(j, i)) : 0.0;
      for (std::size_t term = 0; term < terms; ++term) {
        const std::size_t tile = (i / kTileRows * depth + j / kTileDepth) * terms + term;
        const std::size_t r = i % kTileRows, c = j % kTileDepth;
        const std::size_t place = left ? r * kTileDepth + c : c / 2 * kTileDepth + 2 * r + c % 2;
        const double got = value_of(packed.tiles[tile * kTileNumbers + place]);
        const double wanted = term == 0 ? nearest(exact) : second(exact);
        CHECK(std::isnan(exact) ? std::isnan(got) : got == wanted);
      }
    }
  }
}

enum class Form { forward, input, weights };

struct Case {
  Form form;
  std::size_t m, k, n, terms;
  bool relu;
};

// The operands and the result of a case.
struct Operands {
  Source left, right;
  Guarded<float> bias;
  Rows rows;
  Panels panels;
  explicit Operands(const Case& c)
      : left(c.form == Form::weights ? c.k : c.m, c.form == Form::weights ? c.m : c.k, false),
        right(c.form == Form::input ? c.n : c.k, c.form == Form::input ? c.k : c.n, c.form != Form::weights),
        bias(rounded(c.n)),
        rows(c.m, c.n),
        panels(c.m, c.n) {
    for (std::size_t j = 0; j < c.n; ++j) bias[j] = uniform(-1.0f, 1.0f);
  }
  double a(const Case& c, std::size_t i, std::size_t q) {
    return c.form == Form::weights ? left.at(q, i) : left.at(i, q);
  }
  double b(const Case& c, std::size_t q, std::size_t j) {
    return c.form == Form::input ? right.at(j, q) : right.at(q, j);
  }
  float result(const Case& c, std::size_t i, std::size_t j) {
    return c.form == Form::weights ? panels.at(i, j) : rows.at(i, j);
  }
  Guarded<float>& results(const Case& c) { return c.form == Form::weights ? panels.data : rows.data; }
};

// Computes the result by parts of groups of rows and columns.
void multiply(const Bfloat16Products& p, const Case& c, Operands& o, std::size_t row_cut, std::size_t col_cut) {
  const Packed left(p, true, o.left.source(c.form == Form::weights), c.m, c.k, c.terms);
  const Packed right(p, false, o.right.source(c.form == Form::input), c.n, c.k, c.terms);
  const bool weights = c.form == Form::weights;
  PackedProduct product{left.tiles.data(), right.tiles.data(), c.form == Form::forward ? o.bias.data() : nullptr,
                        weights ? o.panels.data.data() : o.rows.data.data(), weights ? Stored::panels : Stored::rows,
                        c.m, c.k, c.n, c.terms, c.relu, {}, {}};
  for (std::size_t e = 0; e < o.results(c).size(); ++e) o.results(c)[e] = std::nanf("");
  const std::size_t rows = tile_groups(c.m), cols = tile_groups(c.n);
  for (const Range r : {Range{row_cut, rows}, Range{0, std::min(row_cut, rows)}}) {
    for (const Range q : {Range{col_cut, cols}, Range{0, std::min(col_cut, cols)}}) {
      product.rows = r;
      product.cols = q;
      p.multiply(product);
    }
  }
  CHECK(o.results(c).guards_intact());
}

// Against double precision: with the rounded operands to the rounding of the sums, and with two terms, whose products
// leave out that of the second terms, to the numbers themselves.
void test_product(const Bfloat16Products& p, const Case& c) {
  check::context = std::string(p.unit) +
                   text(" multiplies", {static_cast<std::size_t>(c.form), c.m, c.k, c.n, c.terms, c.relu});
  Operands o(c);
  multiply(p, c, o, 0, 0);
  for (std::size_t i = 0; i < c.m; ++i) {
    for (std::size_t j = 0; j < c.n; ++j) {
      double sum = c.form == Form::forward ? o.bias[j] : 0.0, magnitude = std::abs(sum);
      for (std::size_t q = 0; q < c.k; ++q) {
        const double a = o.a(c, i, q), b = o.b(c, q, j);
        sum += c.terms == 1 ? nearest(a) * nearest(b) : a * b;
        magnitude += std::abs(a * b);
      }
      const double rounding = (3.0 * static_cast<double>(c.k) + 8) * 2 * kHalfUlp;
      const double tolerance = (rounding + (c.terms == 1 ? 0.0 : std::ldexp(3.0, -17))) * magnitude;
      CHECK(close(o.result(c, i, j), c.relu ? std::max(sum, 0.0) : sum, tolerance));
    }
  }
  CHECK(c.form == Form::weights ? o.panels.padding_is_zero() : o.rows.padding_is_finite());
  Guarded<float> whole = std::move(o.results(c));
  o.results(c) = Guarded<float>(whole.size());
  for (const std::size_t cut : {std::size_t{1}, tile_groups(c.m)}) {
    multiply(p, c, o, cut, 1);
    CHECK(same_bits(o.results(c), whole));
  }
}

// A right operand that is packed within the product gives the bits of one that was packed before it, also by parts of
// its columns.
void test_packing_within(const Bfloat16Products& p, const Case& c) {
  check::context = std::string(p.unit) +
                   text(" packs and multiplies", {static_cast<std::size_t>(c.form), c.m, c.k, c.n, c.terms, c.relu});
  Operands o(c);
  multiply(p, c, o, 0, 0);
  const Guarded<float> before = std::move(o.results(c));
  const bool weights = c.form == Form::weights;
  const Packed left(p, true, o.left.source(weights), c.m, c.k, c.terms);
  const std::size_t rows = tile_groups(c.m), cols = tile_groups(c.n);
  for (const std::size_t cut : {std::size_t{0}, std::size_t{1}, cols / 2}) {
    o.results(c) = Guarded<float>(before.size());
    for (const Range part : {Range{cut, cols}, Range{0, cut}}) {
      Guarded<std::uint16_t> room(2 * packed_floats((part.end - part.begin) * kTileGroup, c.k, c.terms));
      for (std::size_t i = 0; i < room.size(); ++i) room[i] = 0x7fc0;
      p.pack_and_multiply({left.tiles.data(), nullptr, c.form == Form::forward ? o.bias.data() : nullptr,
                           o.results(c).data(), weights ? Stored::panels : Stored::rows, c.m, c.k, c.n, c.terms, c.relu,
                           {0, rows}, part},
                          o.right.source(c.form == Form::input), room.data());
      CHECK(room.guards_intact());
    }
    CHECK(same_bits(o.results(c), before));
    CHECK(o.results(c).guards_intact());
  }
}

// A row has the same bits alone as among others.
void test_rows_alone(const Bfloat16Products& p, std::size_t k, std::size_t n, std::size_t terms) {
  check::context = std::string(p.unit) + text(" rows alone", {k, n, terms});
  const Case all{Form::forward, 70, k, n, terms, false};
  Operands whole(all);
  multiply(p, all, whole, 0, 0);
  for (const std::size_t m : {1, 2, 4, 5, 8, 9, 16, 17, 33}) {
    const Case few{Form::forward, m, k, n, terms, false};
    Operands part(few);
    for (std::size_t e = 0; e < whole.right.panels.data.size(); ++e)
      part.right.panels.data[e] = whole.right.panels.data[e];
    for (std::size_t e = 0; e < whole.bias.size(); ++e) part.bias[e] = whole.bias[e];
    const std::size_t first = 70 - m;
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t q = 0; q < k; ++q) part.left.at(i, q) = whole.left.at(first + i, q);
    multiply(p, few, part, 0, 0);
    for (std::size_t i = 0; i < m; ++i)
      CHECK(std::memcmp(&part.rows.at(i, 0), &whole.rows.at(first + i, 0), n * sizeof(float)) == 0);
  }
}

// Numbers of all sizes, so that products and sums become denormal, infinite and NaN; only the payload of NaN may
// differ.
void test_same_bits(const Bfloat16Products& unit, const Bfloat16Products& portable, const Case& c) {
  check::context = std::string(unit.unit) +
                   text(" and its portable form", {static_cast<std::size_t>(c.form), c.m, c.k, c.n, c.terms});
  Operands o(c);
  for (Source* source : {&o.left, &o.right}) {
    for (std::size_t i = 0; i < source->matrix.rows; ++i) {
      for (std::size_t j = 0; j < source->matrix.cols; ++j) {
        const int exponent =
            i % 3 == 0 ? static_cast<int>(uniform(-74.0f, 63.0f)) : static_cast<int>(uniform(-6.0f, 6.0f));
        source->at(i, j) = std::ldexp(source->at(i, j), exponent);
      }
    }
  }
  o.left.at(0, 0) = HUGE_VALF;
  if (c.m > 1 && c.k > 1) o.left.at(1, 1) = std::nanf("");
  multiply(unit, c, o, 0, 0);
  Guarded<float> result = std::move(o.results(c));
  o.results(c) = Guarded<float>(result.size());
  multiply(portable, c, o, 0, 0);
  for (std::size_t e = 0; e < result.size(); ++e) {
    const float a = result[e], b = o.results(c)[e];
    CHECK((std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, sizeof a) == 0);
  }
}

void test_unit(const Bfloat16Products& p) {
  for (const std::size_t terms : {1, 2}) {
    for (const std::size_t n : {15, 16, 40, 65, 130}) {
      for (const std::size_t k : {2, 31, 32, 33, 100}) {
        for (const bool left : {false, true}) {
          for (const bool transposed : {false, true}) {
            test_packing(p, n, k, left, false, transposed, terms);
            test_packing(p, n, k, left, true, transposed, terms);
          }
        }
      }
    }
    for (const std::size_t m : {2, 7, 16, 33, 290}) {
      for (const std::size_t k : {2, 31, 32, 33, 600}) {
        for (const std::size_t n : {2, 16, 33, 65, 130}) {
          if (m * k * n > 300000 && n != 33) continue;
          for (const Form form : {Form::forward, Form::input, Form::weights})
            test_product(p, {form, m, k, n, terms, form == Form::forward && (m + n) % 2 == 0});
        }
      }
    }
    for (const Form form : {Form::forward, Form::input, Form::weights}) {
      // The last two pack their columns in several turns.
      test_packing_within(p, {form, 7, 33, 16, terms, false});
      test_packing_within(p, {form, 70, 100, 130, terms, true});
      test_packing_within(p, {form, 290, 600, 250, terms, false});
      test_packing_within(p, {form, 33, 4100, 130, terms, false});
    }
    for (const std::size_t k : {2, 33, 600}) {
      for (const std::size_t n : {16, 50, 130}) test_rows_alone(p, k, n, terms);
    }
  }
}

void test_against_portable(const Bfloat16Products& unit, const Bfloat16Products& portable) {
  for (const Form form : {Form::forward, Form::input, Form::weights}) {
    for (const std::size_t terms : {1, 2}) {
      for (const std::size_t m : {2, 17, 70}) {
        for (const std::size_t k : {2, 33, 530}) {
          for (const std::size_t n : {16, 50, 130}) test_same_bits(unit, portable, {form, m, k, n, terms, false});
        }
      }
    }
  }
}

}  // namespace

int main() {
  const FlushDenormals scope;   // as in a team
  std::string tested;
  const std::vector<const Bfloat16Products*> units = bfloat16_products();
  for (const Bfloat16Products* unit : units) {
    test_unit(*unit);
    for (const Bfloat16Products* portable : units)
      if (portable->unit == std::string(unit->unit) + "_portable") test_against_portable(*unit, *portable);
    tested += std::string(" ") + unit->unit;
  }
  std::printf("units:%s\n", tested.c_str());
  return report("bfloat16");
}
