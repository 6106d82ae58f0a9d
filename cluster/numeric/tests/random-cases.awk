#!/usr/bin/awk -f
# Random cases for make-golden.sh, a line each.
#   usage: random-cases.awk COUNT SEED [OPERATIONS]

function pick(words,    list) { return (split(words, list, " ") > 0) ? list[1 + int(rand() * length(list))] : "" }

function digits(count,    text) {
    # Runs of zeros and nines are where rounding goes wrong.
    while (length(text) < count)
        text = text (rand() < 0.15 ? substr("000000000", 1, 1 + rand() * 9) : rand() < 0.15 ? \
            substr("999999999", 1, 1 + rand() * 9) : rand() < 0.1 ? "5" : int(rand() * 10))
    return substr(text, 1, count)
}

# A size, mostly small.
function size(most,    kind) {
    kind = rand()
    return int(rand() * (kind < 0.6 ? 5 : kind < 0.9 ? 25 : most))
}

function finite(most,    text) {
    text = (rand() < 0.3 ? "-" : "") digits(1 + size(most))
    if (rand() < 0.6) text = text "." digits(1 + size(most))
    if (rand() < 0.05) text = text "e" int(rand() * 60 - 30)
    if (rand() < 0.01) text = text "e" int(rand() * 3000 - 1500)
    if (rand() < 0.05) text = pick("0 1 -1 0.00 1.0 10 0.5 2 100 1e20 1e-20")
    return text
}

function number() {
    return rand() < 0.02 ? pick("NaN Infinity -Infinity inf") : finite(rand() < 0.95 ? 120 : 2000)
}

# Near one, moderate, or anything.
function moderate(    kind) {
    kind = rand()
    if (kind < 0.15) return "1." substr("00000000000000000000", 1, rand() * 20) digits(1 + size(30))
    if (kind < 0.25) return "0." substr("99999999999999999999", 1, rand() * 20) digits(1 + size(30))
    if (kind < 0.9) return (rand() < 0.2 ? "-" : "") int(rand() * 10 ^ int(rand() * 4)) "." digits(1 + size(30))
    return number()
}

function exponent(    kind) {
    kind = rand()
    if (kind < 0.4) return int(rand() * 400 - 100)
    if (kind < 0.5) return int(rand() * 20000 - 10000)
    if (kind < 0.55) return sprintf("%.0f", rand() * 8e9 - 4e9)
    return moderate()
}

function values(    count, text) {
    count = 1 + rand() * 6
    while (count-- > 0) text = text " " number()
    return text
}

function integers(    count, text) {
    count = 1 + rand() * 6
    while (count-- > 0) text = text sprintf(" %.0f", rand() * 2 ^ (rand() * 53) * (rand() < 0.5 ? 1 : -1))
    return text
}

# Groups that are mostly well formed.
function received(    count, text, index_) {
    count = int(rand() * 6)
    text = sprintf("%04x%04x%s%04x", count, rand() < 0.95 ? (int(rand() * 20) + 65526) % 65536 : int(rand() * 65536),
        rand() < 0.95 ? pick("0000 4000 c000 d000 f000") : sprintf("%04x", rand() * 65536),
        rand() < 0.95 ? int(rand() * 40) : int(rand() * 65536))
    for (index_ = 0; index_ < count; index_++)
        text = text sprintf("%04x", rand() < 0.3 ? 0 : rand() < 0.99 ? int(rand() * 10000) : int(rand() * 65536))
    return text (rand() < 0.02 ? "0001" : "")
}

function double() {
    return rand() < 0.3 ? sprintf("%.0f", rand() * 2 ^ (rand() * 60)) : (rand() < 0.5 ? "-" : "") int(rand() * 10) "." \
        digits(1 + int(rand() * 16)) "e" int((rand() - 0.5) * (rand() < 0.2 ? 600 : 60))
}

function single() { return int(rand() * 10) "." digits(1 + int(rand() * 8)) "e" int(rand() * 70 - 35) }

# Anything that looks a little like a number.
function junk(    count, text) {
    for (count = rand() * 10; count > 0; count--)
        text = text substr(" +-..000123456789eeEENnaAInfity_", 1 + int(rand() * 31), 1)
    return "'" (rand() < 0.2 ? pick("+ - nan inf infinity -inf .5 5. 1e") : "") text "'"
}

function arguments(operation) {
    if (operation == "text" && rand() < 0.5) return junk()
    if (operation ~ /^(add|sub|mul|div|div_trunc|rem|cmp|gcd|lcm)$/) return number() " " number()
    if (operation ~ /^(round|trunc)$/) return number() " " int(rand() * 80 - 40)
    if (operation == "typmod") return number() " " int(1 + rand() * 60) " " int(rand() * 80 - 30)
    if (operation == "power") return moderate() " " exponent()
    if (operation == "log") return moderate() " " moderate()
    if (operation ~ /^(ln|log10|exp)$/) return moderate()
    if (operation == "factorial") return int(rand() * 300) - 5
    if (operation == "width_bucket") return finite(30) " " finite(30) " " finite(30) " " int(rand() * 100 - 2)
    if (operation ~ /^int[248]$/) return rand() < 0.9 ? (rand() < 0.5 ? "-" : "") digits(1 + rand() * 21) "." \
        digits(1 + rand() * 3) : number()
    if (operation == "from_float8") return double()
    if (operation == "from_float4") return single()
    if (operation == "receive") return received()
    if (operation ~ /^int8_/) return integers()
    if (operation ~ /^(sum|avg|var|stddev)/) return values()
    return number()
}

BEGIN {
    srand(ARGV[2] + 0)
    operations = "text send receive typmod add sub mul div div div_trunc rem cmp neg abs sign ceil floor round trunc" \
        " scale min_scale trim_scale power power log ln log10 exp sqrt gcd lcm factorial width_bucket int2 int4 int8" \
        " float4 float8 from_float4 from_float8 sum avg var_pop var_samp stddev_pop stddev_samp int8_sum int8_avg" \
        " int8_var_samp int8_stddev_pop"
    if (ARGC > 3) operations = ARGV[3]
    for (number_ = 0; number_ < ARGV[1]; number_++) {
        operation = pick(operations)
        print operation " " arguments(operation)
    }
    exit
}
