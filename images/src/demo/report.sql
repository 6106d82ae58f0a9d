SELECT count(*) AS orders,
    count(*) FILTER (WHERE p.times = 1) AS paid,
    count(*) FILTER (WHERE i.times = 1) AS invoiced,
    count(*) FILTER (WHERE m.times = 1) AS shipped,
    count(*) FILTER (WHERE r.times = 1) AS reminded,
    count(*) FILTER (WHERE p.times = 1 AND i.times = 1 AND m.times = 1 AND r.times = 1) AS each_once
FROM generate_series(1, $1::integer) AS o (number)
LEFT JOIN (SELECT number, count(*) AS times FROM payments GROUP BY number) p ON p.number = o.number
LEFT JOIN (
    SELECT substr(path, 11, 6)::integer AS number, count(*) AS times FROM sys.files
    WHERE path LIKE '/invoices/______.txt' AND size > 0 GROUP BY 1
) i ON i.number = o.number
LEFT JOIN (
    SELECT (body ->> 'number')::integer AS number, count(*) AS times FROM sys.messages
    WHERE mailbox = 'shipping' GROUP BY 1
) m ON m.number = o.number
LEFT JOIN (SELECT number, count(*) AS times FROM reminders GROUP BY number) r ON r.number = o.number
