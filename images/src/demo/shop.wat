;; What becomes of an order, in one transaction: its payment is booked, its invoice is written to a file, the warehouse is sent
;; a message, and a reminder is to run in two seconds. The arguments are the order as the hook was sent it:
;;
;;   {"number": 17, "customer": "Ann", "item": "lamp", "amount": 19.90}
(module
  (import "relix" "arguments" (func $arguments (result i32)))
  (import "relix" "response_read" (func $response_read (param i32 i32 i32) (result i32)))
  (import "relix" "sql" (func $sql (param i32 i32 i32 i32) (result i32)))
  (import "relix" "file_write" (func $file_write (param i32 i32 i64 i32 i32) (result i32)))
  (import "relix" "result" (func $result (param i32 i32)))
  (import "relix" "fail" (func $fail (param i32 i32)))
  (memory (export "memory") 2)

  ;; Each statement ends with a zero byte. Its parameter is the order.
  (data (i32.const 0)
    "INSERT INTO payments SELECT ($1::jsonb ->> 'number')::integer, $1::jsonb ->> 'customer', ($1::jsonb ->> 'amount')::numeric\00")
  (data (i32.const 512) "SELECT sys.send('shipping', $1::jsonb)\00")
  (data (i32.const 1024)
    "INSERT INTO sys.tasks (program, arguments, run_at) SELECT 'statement', to_jsonb('INSERT INTO reminders VALUES (' || ($1::jsonb ->> 'number') || ')'), now() + '2 s'\00")
  ;; What this gives begins with the path of the invoice, of 20 bytes.
  (data (i32.const 1536)
    "SELECT '/invoices/' || lpad($1::jsonb ->> 'number', 6, '0') || '.txt' || 'Invoice ' || ($1::jsonb ->> 'number') || ' for ' || ($1::jsonb ->> 'customer') || ': 1 ' || ($1::jsonb ->> 'item') || ', ' || ($1::jsonb ->> 'amount') || ' EUR' AS i\00")
  (data (i32.const 2048) "the order is too long")
  (data (i32.const 2080) "handled")

  ;; The parameters are at 4096: a JSON array of the order.
  (global $params_len (mut i32) (i32.const 0))

  ;; Ends the run, with what the response says.
  (func $fail_with_response (param $len i32)
    (drop (call $response_read (i32.const 65536) (i32.const 0) (local.get $len)))
    (call $fail (i32.const 65536) (local.get $len)))

  ;; Runs the statement at $at. Returns the length of the response.
  (func $do (param $at i32) (result i32) (local $len i32)
    (block $end
      (loop $next
        (br_if $end (i32.eqz (i32.load8_u (i32.add (local.get $at) (local.get $len)))))
        (local.set $len (i32.add (local.get $len) (i32.const 1)))
        (br $next)))
    (local.set $len (call $sql (local.get $at) (local.get $len) (i32.const 4096) (global.get $params_len)))
    (if (i32.lt_s (local.get $len) (i32.const 0))
      (then (call $fail_with_response (i32.sub (i32.const 0) (local.get $len)))))
    (local.get $len))

  (func (export "run") (local $len i32)
    (local.set $len (call $arguments))
    (if (i32.gt_u (local.get $len) (i32.const 16384))
      (then (call $fail (i32.const 2048) (i32.const 21))))
    (i32.store8 (i32.const 4096) (i32.const 0x5b))
    (drop (call $response_read (i32.const 4097) (i32.const 0) (local.get $len)))
    (i32.store8 (i32.add (i32.const 4097) (local.get $len)) (i32.const 0x5d))
    (global.set $params_len (i32.add (local.get $len) (i32.const 2)))

    (drop (call $do (i32.const 0)))
    (drop (call $do (i32.const 512)))
    (drop (call $do (i32.const 1024)))

    ;; {"columns":["i"],"rows":[["/invoices/000017.txtInvoice 17 ..."]],"count":1}
    (local.set $len (call $do (i32.const 1536)))
    (drop (call $response_read (i32.const 65536) (i32.const 0) (local.get $len)))
    (local.set $len
      (call $file_write
        (i32.const 65563) (i32.const 20) (i64.const 0)
        (i32.const 65583) (i32.sub (local.get $len) (i32.const 61))))
    (if (i32.lt_s (local.get $len) (i32.const 0))
      (then (call $fail_with_response (i32.sub (i32.const 0) (local.get $len)))))
    (call $result (i32.const 2080) (i32.const 7))))
